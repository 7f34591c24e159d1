"""A situation brought to life: written to a folder, ingested, asked, diagnosed, by the command line alone.

In: a `Situation`, an endpoint and a folder. Out: a `Played`: what the diagnosis said, what every case came to
by the situation's own truth, and the traces for those who diagnose from traces.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.situations.endpoint import Encoders, Endpoint, Room
from bench.situations.faults import Situation
from bench.situations.world import Question, World
from firstfault import cli

OVERLAP = Path(__file__).parents[2] / "tests" / "models" / "data" / "overlap.onnx"
"""A cross-encoder that counts equal tokens; with a wrong tokenizer it counts what does not matter."""


@dataclass
class Played:
    """What came of a situation."""

    verdict: dict[str, Any]
    """The document of `diagnose --json`."""
    metrics: dict[str, Any]
    traces: list[dict[str, Any]]
    """One a case: question, gold, passages, answer."""
    corpus: list[dict[str, Any]]
    """What is stored: each document with its chunks."""
    wrong: list[str]
    """Cases that came out wrong by the situation's own truth."""
    seconds: dict[str, float]
    requests: dict[str, int]
    """To the endpoint, by command."""


class CommandError(Exception):
    """A command ended with an error."""


def command(*arguments: str | Path) -> dict[str, Any]:
    """Run `firstfault ARGUMENTS` in this process; its JSON document."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["firstfault", *map(str, arguments)]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main()
            except SystemExit as stop:
                code = stop.code or 0
    finally:
        sys.argv = before
    if code not in (0, 1):
        raise CommandError(f"{' '.join(map(str, arguments[-3:]))}: exit {code}: {err.getvalue()[-800:]}")
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def play(
    situation: Situation, folder: Path, endpoint: Endpoint, encoders: Encoders, *, repaired: bool = False
) -> Played:
    """Build it, ask its cases, diagnose it. `repaired`: without the fault, and without a diagnosis."""
    world, clerk, settings, later = (
        situation.world,
        situation.clerk,
        dict(situation.settings),
        situation.later,
    )
    embedding, embedding_later = situation.embedding, situation.embedding_later
    if repaired:
        assert situation.healthy is not None
        world, changes = situation.healthy
        settings |= changes
        clerk, later = replace(clerk, manner="right", outdated={}), None
        embedding = embedding_later = "plain" if embedding else None
    room = f"r{situation.seed}{len(endpoint.rooms)}"
    endpoint.rooms[room] = Room(clerk, encoders.named(embedding) if embedding else None)
    shutil.rmtree(folder, ignore_errors=True)
    documents = folder / "documents"
    documents.mkdir(parents=True)
    _write(world, documents)
    cases = folder / "cases.jsonl"
    rows = [
        json.dumps(question.row(terse=situation.terse), ensure_ascii=False) for question in world.questions
    ]
    cases.write_text("\n".join(rows) + "\n", encoding="utf-8")
    if situation.reranker and settings.get("search.rerank") == "cross":
        settings["search.rerank_model"] = str(_reranker(situation.reranker, folder / "reranker"))
    config = folder / "firstfault.toml"
    config.write_text(_toml(settings, endpoint.url(room), embedding is not None), encoding="utf-8")
    common = ("--home", folder / "home", "--config", config)
    seconds: dict[str, float] = {}
    requests: dict[str, int] = {}

    def timed(name: str, *arguments: str | Path) -> dict[str, Any]:
        start, before = time.perf_counter(), endpoint.requests
        try:
            return command(*common, *arguments, "--json")
        finally:
            seconds[name] = round(time.perf_counter() - start, 2)
            requests[name] = endpoint.requests - before

    report = timed("ingest", "ingest", documents)
    if report.get("failed"):
        raise CommandError(f"ingest failed for {report['failed']}")
    if later is not None:
        _write(later, documents)
    if embedding_later:
        endpoint.rooms[room].embed = encoders.named(embedding_later)
    run = timed("eval", "eval", cases)
    verdict = {} if repaired else timed("diagnose", "diagnose", "--run", str(run["run_id"]))
    traces, corpus = _traces(command(*common, "runs", str(run["run_id"]), "--json"), situation, world, common)
    wrong = [
        trace["case"]
        for trace, question in zip(traces, world.questions, strict=True)
        if not came_right(question, trace, clerk.abstention)
    ]
    del endpoint.rooms[room]
    return Played(verdict, run["metrics"], traces, corpus, wrong, seconds, requests)


def came_right(question: Question, trace: dict[str, Any], abstention: str) -> bool:
    """Whether the generator's own words answer the question, with a mark of a passage that says so."""
    raw = " ".join(trace["raw"].replace("**", "").split())
    if not question.facts:
        return not raw or raw == abstention
    marks = {int(number) for number in re.findall(r"\[(\d+)\]", raw)}
    passages = {passage["number"]: passage for passage in trace["passages"]}
    if not marks or not marks <= passages.keys():
        return False
    for fact in question.facts:
        if not any(said.rstrip(".") in raw for said in (fact.quote, fact.reworded)):
            return False
        text = " ".join(" ".join(passages[mark]["text"].split()) for mark in sorted(marks))
        if fact.quote not in text:
            return False
    return True


def _write(world: World, folder: Path) -> None:
    for name, text in world.files().items():
        (folder / name).write_text(text, encoding="utf-8")


def _toml(settings: dict[str, Any], url: str, embeds: bool) -> str:
    values: dict[str, dict[str, Any]] = {
        "generator": {
            "kind": "openai",
            "model": "house",
            "base_url": url,
            "context_window": 8192,
            "max_tokens": 256,
        },
    }
    values["latency"] = {
        f"{stage}_ms": 600_000
        for stage in ("embed", "index", "fuse", "rerank", "pack", "first_token", "generate", "cite", "total")
    }  # a busy machine is not what is looked for
    if embeds:
        values["embedder"] = {"kind": "openai", "model": "house-embed", "base_url": url}
    for key, value in settings.items():
        section, name = key.split(".")
        values.setdefault(section, {})[name] = value
    lines = []
    for section, table in values.items():
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value)}" for name, value in table.items()]
    return "\n".join(lines) + "\n"


def _reranker(kind: str, folder: Path) -> Path:
    """A cross-encoder with a tokenizer that is not its own."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    folder.mkdir()
    if kind == "characters":
        units = list("abcdefghijklmnopqrstuvwxyz")
        splitter: pre_tokenizers.PreTokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    else:
        units = "the of is to in a and for on be may it are or with by at".split()
        splitter = pre_tokenizers.Whitespace()
    vocabulary = {unit: number for number, unit in enumerate(["[PAD]", "[CLS]", "[SEP]", *units])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
    shutil.copy(OVERLAP, folder / "model.onnx")
    return folder


def _traces(
    run: dict[str, Any], situation: Situation, world: World, common: tuple[str | Path, ...]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Each case with its gold and its trace, in the words of no tool, and what is stored."""
    import firstfault

    results = {case["case_id"]: case for case in run["cases"]}
    found = []
    with firstfault.open(common[1], config=common[3]) as app:
        chunks: dict[str, str] = {}
        for question in world.questions:
            result = results[question.id]
            trace = app.traces.get(result["trace_id"]) if result["trace_id"] else None
            passages = trace.context.passages if trace and trace.context else ()
            hits = trace.hits if trace else ()
            fetched = (
                app.collection.fetch([hit.key for hit in hits], version=trace.corpus_version) if trace else {}
            )
            chunks |= {chunk.id: chunk.text for chunk in fetched.values()}
            answer = trace.answer if trace else None
            found.append(
                {
                    "case": question.id,
                    "trace": result["trace_id"],
                    "question": question.text,
                    "where": question.where,
                    "answerable": bool(question.facts),
                    "expected": question.expected(terse=situation.terse),
                    "reference": question.expected(terse=False),
                    "values": [fact.value for fact in question.facts],
                    "evidence": [{"document": f.document, "quote": f.quote} for f in question.facts],
                    "raw": trace.generation.raw if trace and trace.generation else "",
                    "answer": result["answer"] or "",
                    "abstained": result["abstained"],
                    "passages": [
                        {
                            "number": p.number,
                            "chunk": p.chunk.id,
                            "document": p.chunk.document_id,
                            "title": p.chunk.document_title,
                            "text": p.chunk.text,
                            "start": p.chunk.start,
                            "end": p.chunk.end,
                            "metadata": dict(p.chunk.metadata),
                        }
                        for p in passages
                    ],
                    "hits": [
                        {
                            "chunk": hit.chunk_id,
                            "document": hit.document_id,
                            "text": chunks.get(hit.chunk_id, ""),
                            "arms": {name: asdict(place) for name, place in hit.arms.items()},
                        }
                        for hit in hits
                    ],
                    "citations": [
                        {
                            "number": c.number,
                            "document": c.document_id,
                            "chunk": c.chunk_id,
                            "text": c.cited_text,
                            "status": c.verdict.status,
                        }
                        for c in (answer.citations if answer else ())
                    ],
                    "error": result["error"],
                }
            )
        corpus = []
        for row in app.collection.documents():
            document = app.collection.document(row.id)
            pieces = [
                {"id": chunk.id, "start": chunk.start, "end": chunk.end}
                for _, chunk in app.collection.chunks_of(row.id)
            ]
            corpus.append(
                {
                    "id": document.id,
                    "title": document.title,
                    "text": document.text,
                    "metadata": dict(document.metadata),
                    "chunks": pieces,
                }
            )
    return found, corpus
