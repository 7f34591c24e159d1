"""How answers, hits, verdicts and timings look in a terminal.

Everything that comes from documents or models is printed as plain text, never as markup.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from firstfault.types import (
    Answer,
    ArmScore,
    Citation,
    Claim,
    Event,
    Generation,
    Hit,
    Span,
    Status,
    Trace,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from firstfault.collection import CollectionInfo, DocumentRow, Failure
    from firstfault.ingest import Failed, IngestReport

STATUS_STYLE: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warn": ("~", "yellow"),
    "fail": ("✗", "red"),
    "unknown": ("?", "magenta"),
}

SHOWN_ARMS = ("dense", "bm25", "fuse", "rerank")
BAR_WIDTH = 24
PIPE_WIDTH = 1000
"""Characters of a line where there is no terminal that has a width."""
SNIPPET = 160
"""Characters of a chunk in a listing."""


_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Text of a document or model for a terminal: control and direction characters made visible."""
    return _UNSEEN.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def console(*, stderr: bool = False) -> Console:
    """A console that never interprets document text and never wraps bars.

    Where nobody looks (a pipe, a file), lines are as wide as `PIPE_WIDTH`, unless COLUMNS is set.
    """
    out = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = PIPE_WIDTH
    return out


def _indent(text: Text, by: int) -> Padding:
    return Padding(text, (0, 0, 0, by), expand=False)


def answer(out: Console, found: Answer) -> None:
    """The answer sentence by sentence, its sources, and what was caught."""
    if found.abstained:
        out.print(_indent(Text(plain(found.text), style="yellow"), 2))
    for claim in found.claims:
        out.print(_indent(_claim(found, claim), 2))
    if found.citations:
        out.print()
    for cited in found.citations:
        citation(out, cited)
    if found.removed:
        out.print()
        out.print(Text("  caught: the model also said, and the sources do not support,", style="red"))
    for claim in found.removed:
        line = Text.assemble(
            ("✗ ", "red"), (plain(claim.text), "strike dim"), ("  " + _why(claim.verdict), "red")
        )
        out.print(_indent(line, 2))


def shown(out: Console, found: Trace) -> None:
    """The answer of a trace, sentence by sentence or field by field."""
    assert found.answer is not None
    if found.format is None:
        answer(out, found.answer)
        return
    from firstfault.cli import render_format

    render_format.formatted(out, found.format, found.answer)


def _claim(found: Answer, claim: Claim) -> Text:
    mark, style = STATUS_STYLE[claim.verdict.status]
    text = plain(found.text[claim.start : claim.end])
    line = Text.assemble((f"{mark} ", style), (text, "" if claim.verdict.status == "ok" else style))
    score = "" if claim.verdict.score is None else f" {claim.verdict.score:.2f}"
    line.append(f"  {claim.verdict.label}{score}", style=f"dim {style}")
    if claim.verdict.status != "ok":
        line.append(f": {_why(claim.verdict)}", style=f"dim {style}")
    return line


def _why(verdict: Verdict) -> str:
    return plain(verdict.reason) or verdict.status


def citation(out: Console, cited: Citation) -> None:
    """A source: its number, document, place and verdict, and the words it quotes."""
    mark, style = STATUS_STYLE[cited.verdict.status]
    place = f"characters {cited.start_char_index:,}–{cited.end_char_index:,}"
    head = Text.assemble(
        (f"[{cited.number}] ", "bold cyan"),
        (plain(cited.document_title), "bold"),
        (f"  {plain(cited.document_id)}, {place}  ", "dim"),
        (f"{mark} {cited.verdict.label}", style),
    )
    quote = plain(" ".join(cited.cited_text.split()))
    out.print(_indent(head, 2))
    out.print(_indent(Text(f"“{quote}”", style="italic"), 6))


def waterfall(out: Console, trace: Trace) -> None:
    """Where the time went: one bar a stage, placed when it ran."""
    total = max(trace.total_ms, 0.001)
    for span in trace.spans:
        line = Text.assemble((f"  {span.stage:<9}", "cyan"), _bar(span, total))
        line.append(f" {span.duration_ms:>9,.1f} ms")
        line.append(f"  {_facts(span)}", style="dim")
        out.print(line, no_wrap=True, overflow="ellipsis")
    first = trace.time_to_first_token_ms
    note = "" if first is None else f"  first token after {first:,.0f} ms"
    loading = sum(_milliseconds(event) for _, event in trace.events() if event.name == "model_loaded")
    note += f", models loaded for {loading:,.0f} ms of the total" if loading else ""
    line = Text.assemble(
        ("  total    ", "cyan"), " " * BAR_WIDTH, f" {trace.total_ms:>9,.1f} ms", (note, "dim")
    )
    out.print(line, no_wrap=True, overflow="ellipsis")


def _milliseconds(event: Event) -> float:
    took = event.attributes.get("ms")
    return float(took) if isinstance(took, int | float) else 0.0


def _bar(span: Span, total: float) -> Text:
    start = min(round(span.start_ms / total * BAR_WIDTH), BAR_WIDTH - 1)
    width = max(1, round(span.duration_ms / total * BAR_WIDTH))
    width = min(width, BAR_WIDTH - start)
    style = "red" if span.status == "error" else "blue"
    return Text.assemble(
        ("·" * start, "dim"), ("█" * width, style), ("·" * (BAR_WIDTH - start - width), "dim")
    )


def _facts(span: Span) -> str:
    facts = [f"! {name}" for name in dict.fromkeys(event.name for event in span.events)]
    shown = ((name, value) for name, value in span.attributes.items() if value not in (None, False))
    return ", ".join([*facts, *(f"{name} {value}" for name, value in shown)])


def hits(out: Console, found: Sequence[Hit], *, limit: int) -> None:
    """The arms side by side: where each put the candidate, with which score, then where it stands."""
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("#", justify="right", min_width=3)
    for arm in SHOWN_ARMS:
        table.add_column(arm, justify="right", no_wrap=True, min_width=9)
    cut = out.is_terminal  # elsewhere nothing is: an id must be whole to be copied
    table.add_column("document and text", overflow="ellipsis" if cut else "fold", no_wrap=cut)
    for position, hit in enumerate(found[:limit], start=1):
        text = plain(" ".join(hit.chunk.text.split()))
        text = text if len(text) <= SNIPPET else f"{text[:SNIPPET]}…"
        line = Text.assemble((plain(hit.chunk.document_id), "bold"), f"  {text}")
        table.add_row(str(position), *_places(hit.arms), line)
    if not found:
        out.print("No candidate: no document shares a term or passes the filter.", style="yellow")
        return
    out.print(table)
    if len(found) > limit:
        out.print(Text(f"  … and {len(found) - limit} more candidates; --limit shows them", style="dim"))


def _places(arms: Mapping[str, ArmScore]) -> list[str]:
    """Rank and score in each arm; a dash where the arm did not return it."""
    return [
        f"[dim]{arms[a].rank:>3}[/] {arms[a].score:>5.2f}" if a in arms else "[dim]–[/]" for a in SHOWN_ARMS
    ]


def verdicts(out: Console, found: "Iterable[Verdict]") -> None:
    """One line a verdict, with its remedy below when there is something to do."""
    for verdict in found:
        mark, style = STATUS_STYLE[verdict.status]
        out.print(Text.assemble((f"  {mark} ", style), (f"{verdict.name:<22} ", "bold"), verdict.reason))
        if verdict.remedy and verdict.status != "ok":
            what = "next" if verdict.status == "unknown" else "fix"
            out.print(Text(f"      {what}: {verdict.remedy}", style="cyan"))


def trace(out: Console, found: Trace) -> None:
    """One request from top to bottom, in the order in which evidence travels."""
    out.print(Text(found.question, style="bold"))
    where = f", where {found.where}" if found.where else ""
    out.print(
        Text(
            f"  {found.at}, collection {found.collection} at version {found.corpus_version}{where}, "
            f"settings {found.fingerprint}, embedder {found.embedder[:12]}, verifier {found.verifier}",
            style="dim",
        )
    )
    if found.replay_of:
        out.print(Text(f"  replay of {found.replay_of} from stage {found.replayed_from}", style="dim"))
    if found.error:
        out.print(Text(f"  failed: {found.error}", style="red"))
    out.print()
    waterfall(out, found)
    for stage, event in found.events():
        facts = ", ".join(f"{name} {value!r}" for name, value in event.attributes.items())
        out.print(_indent(Text(f"! {stage}: {event.name} {facts}", style="yellow"), 2))
    out.print()
    _candidates(out, found)
    if found.context is not None:
        packed = found.context
        summary = f"{len(packed.passages)} passages, {packed.tokens} of {packed.budget} tokens"
        out.print(Text(f"\nin the prompt: {summary}", style="bold"))
        for passage in packed.passages:
            out.print(Text(f"  ({passage.number}) {passage.chunk.id}, {passage.tokens} tokens"))
    if found.generation is not None:
        made = found.generation
        tuned = f" with {adapted(made)}" if made.adapter else ""
        out.print(Text(f"\n{made.model}{tuned} said ({made.finish_reason})", style="bold"))
        out.print(_indent(Text(plain(made.raw), style="dim"), 2))
    if found.answer is not None:
        out.print(Text("\nanswer", style="bold"))
        shown(out, found)


def adapted(made: Generation) -> str:
    """Which adapter wrote: its name, its release and the beginning of its digest."""
    release = f" release {made.adapter_release}" if made.adapter_release is not None else ""
    digest = f" ({made.adapter_digest[:12]})" if made.adapter_digest else ""
    return f"adapter {made.adapter}{release}{digest}"


def _candidates(out: Console, found: Trace) -> None:
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for column in ("#", *SHOWN_ARMS):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("chunk", overflow="fold")
    shown = max(found.selected, 10)
    for position, hit in enumerate(found.hits[:shown], start=1):
        style = "" if position <= found.selected else "dim"
        table.add_row(str(position), *_places(hit.arms), Text(hit.chunk_id), style=style)
    out.print(table)
    if len(found.hits) > shown:
        out.print(Text(f"  … and {len(found.hits) - shown} more; --json has them all", style="dim"))


def traces(out: Console, found: Sequence[Trace]) -> None:
    """One line a request, newest first."""
    from firstfault.trace import status

    if not found:
        out.print('No traces yet. Ask something: firstfault ask "…"')
        return
    styles = {"supported": "green", "partial": "yellow", "unsupported": "red", "malformed": "red"}
    styles["error"] = "bold red"
    table = Table(box=None, padding=(0, 2), header_style="bold", pad_edge=False)
    for column in ("trace", "answer", "ms", "question"):
        justify: Literal["left", "right"] = "right" if column == "ms" else "left"
        table.add_column(column, no_wrap=column != "question", overflow="fold", justify=justify)
    for one in found:
        state = status(one)
        table.add_row(
            one.id, Text(state, style=styles.get(state, "dim")), f"{one.total_ms:,.0f}", Text(one.question)
        )
    out.print(table)


def comparison(out: Console, before: Trace, after: Trace) -> None:
    """A replay beside its original: what changed first, then the new answer."""
    out.print(Text(before.question, style="bold"))
    stage = after.replayed_from
    reused = "the whole path" if stage == "filter" else f"from stage {stage}; earlier results reused"
    out.print(Text(f"  replay of {before.id}: {reused}", style="dim"))
    for name, old, new in _changed_settings(before, after):
        out.print(Text(f"  {name}: {old} → {new}", style="cyan"))
    chunks = [[hit.chunk_id for hit in one.hits[: one.selected]] for one in (before, after)]
    for chunk_id in chunks[0]:
        if chunk_id not in chunks[1]:
            out.print(Text(f"  − {chunk_id}", style="red"))
    for chunk_id in chunks[1]:
        if chunk_id not in chunks[0]:
            out.print(Text(f"  + {chunk_id}", style="green"))
    for title, one in (("before", before), ("after", after)):
        out.print(Text(f"\n{title}", style="bold"))
        if one.answer is not None:
            shown(out, one)
        elif one.error is not None:
            out.print(_indent(Text(f"failed: {plain(one.error)}", style="red"), 2))
        else:
            out.print(_indent(Text("Nothing was generated: only the context was assembled."), 2))
    out.print()
    waterfall(out, after)
    out.print(Text(f"  trace {after.id}", style="dim"))


def _changed_settings(before: Trace, after: Trace) -> list[tuple[str, object, object]]:
    return [
        (f"{section}.{key}", before.settings.get(section, {}).get(key), value)
        for section, table in after.settings.items()
        for key, value in table.items()
        if before.settings.get(section, {}).get(key) != value
    ]


class Draft:
    """Shows the model's words as they come, and wipes them: they are not the checked answer."""

    def __init__(self, out: Console) -> None:
        self._text = Text("", style="dim italic")
        self._live = Live(self._text, console=out, transient=True, auto_refresh=False)
        self._shown = out.is_terminal

    def add(self, text: str) -> None:
        """Append a piece of text."""
        self._text.append(plain(text))
        if self._shown:
            self._live.update(self._text, refresh=True)

    def __enter__(self) -> "Draft":
        if self._shown:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._live.stop()


def ingest_report(out: Console, report: "IngestReport") -> None:
    """What an ingest did, and every failure with its reason."""
    parts = [
        f"{count:,} {name}"
        for name, count in (
            ("added", report.added),
            ("replaced", report.replaced),
            ("unchanged", report.unchanged),
            ("retired", report.retired),
            ("failed", len(report.failed)),
        )
        if count
    ]
    looked = report.added + report.replaced + report.unchanged
    out.print(
        f"  {', '.join(parts) or 'nothing to do'}; {report.chunks:,} chunks in {report.seconds:.1f} s "
        f"({looked / max(report.seconds, 1e-9):,.0f} documents/s)"
    )
    if report.truncated:
        out.print(f"  ~ {report.truncated} chunks are longer than the embedder reads", style="yellow")
    for note in report.notes:
        out.print(Text(f"  ~ {note}", style="yellow"))
    for suffix, count in report.skipped.items():
        out.print(Text(f"  ~ {count} files skipped: nothing reads {suffix or 'no suffix'}", style="yellow"))
    for failure in report.failed:
        _failure(out, failure)
    if report.failed:
        out.print("    Failed sources are tried again by the next ingest.", style="dim")


def status(out: Console, info: "CollectionInfo", failures: "Sequence[Failure]") -> None:
    """The state of a collection."""
    changed = f", changed {info.changed_at}" if info.changed_at else ""
    rows = [
        ("collection", f"{info.name} at version {info.version}{changed}"),
        ("documents", f"{info.documents:,} live, {info.retired_documents:,} retired revisions"),
        ("chunks", f"{info.chunks:,} live, {info.retired_chunks:,} retired"),
        ("index", f"{info.index_points:,} points, {info.index_graphed:,} in the graph"),
        ("lexical", f"BM25, stems: {info.language}"),
        ("embedder", f"{info.embedder} ({info.fingerprint[:12]}), {info.dimension} dimensions"),
        ("disk", f"{info.bytes_database / 2**20:.1f} MiB catalog, {info.bytes_index / 2**20:.1f} MiB index"),
        ("filters", ", ".join(f"{name} ({'/'.join(kinds)})" for name, kinds in info.fields.items()) or "–"),
        ("failed", f"{info.failures:,} sources"),
    ]
    for name, value in rows:
        out.print(Text.assemble((f"  {name:<12}", "bold"), value))
    for failure in failures:
        _failure(out, failure)


def _failure(out: Console, failure: "Failed | Failure") -> None:
    out.print(Text(f"  ✗ {plain(failure.source)}: {plain(failure.reason)}", style="red"))
    if failure.stale:
        what = "an earlier revision is" if failure.stale == 1 else f"{failure.stale:,} earlier revisions are"
        out.print(Text(f"    {what} still served: searches find the old text.", style="yellow"))


def documents(out: Console, found: "Sequence[DocumentRow]", *, limit: int) -> None:
    """One line a document."""
    table = Table(box=None, padding=(0, 2), header_style="bold", pad_edge=False)
    for column, justify in (
        ("document", "left"),
        ("title", "left"),
        ("characters", "right"),
        ("chunks", "right"),
    ):
        table.add_column(column, justify="right" if justify == "right" else "left", overflow="fold")
    shown = found[:limit] if limit else found
    for row in shown:
        table.add_row(Text(plain(row.id)), Text(plain(row.title)), f"{row.characters:,}", f"{row.chunks:,}")
    out.print(table)
    if len(found) > len(shown):
        out.print(f"  … and {len(found) - len(shown):,} more; --limit 0 lists all", style="dim")
