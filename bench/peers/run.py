"""The comparison in one run: in go the environments that setup.sh made, out come a Markdown table and JSON.

    python -m bench.peers.run --dir DIR [--passages 50000] [--peers firstfault txtai ...] [--out bench/out]

Peers are measured one after the other, each in its own processes, on the same documents and questions. Every
step is written down when it is done; `--resume` goes on where a run with the same sizes was cut off.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers.corpus import data_folder, large_corpus, write_passages, xquad_documents

PEERS = ("firstfault", "txtai", "haystack", "llamaindex", "haiku")
REPOSITORY = Path(__file__).resolve().parents[2]
QUESTION = "How many points did the Panthers defense surrender?"
TIME_LIMIT = 7200
"""Seconds for one measurement of one peer."""

Report = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    label: str
    path: tuple[str, ...]
    """Where the value stands in a peer's report."""
    show: str
    """Format of the value."""
    ratio: bool = True
    """Whether the cell also says how many times the baseline's value it is."""


def main() -> None:
    arguments = _arguments()
    data_folder()  # says so and exits with 3 when the data is absent
    arguments.out.mkdir(parents=True, exist_ok=True)
    documents = arguments.dir / "xquad.jsonl"
    write_passages(xquad_documents(), documents)
    large = arguments.dir / f"large-{arguments.passages}.jsonl"
    if arguments.passages and not large.exists():
        write_passages(large_corpus(arguments.passages), large)
    file = arguments.out / "peers.json"
    report = _begin(arguments, file)
    for peer in arguments.peers:
        measured = report["peers"].setdefault(peer, {})
        for _ in _measure(peer, measured, arguments, documents, large):
            file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    table = markdown(report)
    (arguments.out / "peers.md").write_text(table, encoding="utf-8")
    print(table)


def _begin(arguments: argparse.Namespace, file: Path) -> Report:
    """The report to add to: a new one, or that of the run that is resumed.

    Raises:
        SystemExit: the run to be resumed had other sizes.
    """
    sizes = {name: getattr(arguments, name) for name in ("passages", "questions", "large_questions", "cold")}
    if arguments.resume and file.exists():
        report: Report = json.loads(file.read_text(encoding="utf-8"))
        if report.get("sizes") != sizes:
            sys.exit(
                f"{file} is of a run with {report.get('sizes')}: give the same sizes, or leave --resume out"
            )
        report["resumed"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        return report
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "cores": os.cpu_count(),
        "passages": arguments.passages,
        "sizes": sizes,
        "peers": {},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dir", type=Path, required=True, help="the folder that setup.sh filled")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument(
        "--passages", type=int, default=50_000, help="size of the large corpus; 0 = leave it out"
    )
    parser.add_argument("--questions", type=int, default=0, help="questions on xquad; 0 = all 1,190")
    parser.add_argument("--large-questions", type=int, default=200)
    parser.add_argument("--cold", type=int, default=5, help="whole processes timed for the cold start")
    parser.add_argument("--resume", action="store_true", help="leave out what --out holds already")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "bench" / "out")
    arguments = parser.parse_args()
    arguments.dir = arguments.dir.resolve()
    return arguments


def _measure(
    peer: str, report: Report, arguments: argparse.Namespace, documents: Path, large: Path
) -> Iterator[None]:
    """Everything about one peer, into its report; yields after every step.

    A step that fails is recorded with its reason and the run goes on. One that the report holds is left out.
    """
    if not (arguments.dir / peer / "bin" / "python").exists():
        report["failed"] = {"environment": f"no {peer} in {arguments.dir}: run bench/peers/setup.sh first"}
        yield
        return
    home = arguments.dir / "homes" / peer
    report["failed"] = {}
    report["install_mib"] = _install_mib(arguments.dir, peer)
    report["load"] = max(os.getloadavg()[0], report.get("load", 0.0))

    def measured(corpus: Path, at: Path, questions: int) -> Report:
        options = ["--home", str(at), "--documents", str(corpus), "--questions", str(questions)]
        return _child(arguments.dir, peer, "measure", *options)

    steps: dict[str, Callable[[], Any]] = {
        "xquad": lambda: measured(documents, home / "xquad", arguments.questions),
        "cold_xquad": lambda: _cold_seconds(arguments.dir, peer, home / "xquad", arguments.cold),
        "silent": lambda: _child(arguments.dir, peer, "silent", "--home", str(home / "silent")),
    }
    if arguments.passages:
        steps["large"] = lambda: measured(large, home / "large", arguments.large_questions)
        steps["cold_large"] = lambda: _cold_seconds(arguments.dir, peer, home / "large", arguments.cold)
    for name, call in steps.items():
        if name in report:
            continue
        print(f"{peer}: {name}", file=sys.stderr, flush=True)
        try:
            report[name] = call()
        except (subprocess.SubprocessError, json.JSONDecodeError, OSError) as error:
            lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            report["failed"][name] = lines[-1][:300] if lines else type(error).__name__
        yield


def _child(folder: Path, peer: str, *arguments: str) -> Report:
    """One command of a peer's script, in the peer's environment; its report."""
    command = [str(folder / peer / "bin" / "python"), "-m", f"bench.peers.{peer}_peer", *arguments]
    parsed: Report = json.loads(_run(command, folder))
    return parsed


def _run(command: Sequence[str], folder: Path) -> str:
    environment = {
        **os.environ,
        "PEERS_MODEL": str(folder / "model"),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HAYSTACK_TELEMETRY_ENABLED": "False",
        "LOGFIRE_IGNORE_NO_CONFIG": "1",
    }
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=TIME_LIMIT,
    ).stdout


def _cold_seconds(folder: Path, peer: str, home: Path, times: int) -> float:
    """Median wall time of a whole process that opens an existing home and answers one query.

    One unmeasured process goes first, so that files are in the page cache for every peer alike.
    """
    program = str(folder / peer / "bin")
    command = [f"{program}/python", "-m", f"bench.peers.{peer}_peer", "query", "--home", str(home), QUESTION]
    if peer == "firstfault":
        command = [f"{program}/firstfault", "--home", str(home), "search", QUESTION, "--json"]
    seconds = []
    for _ in range(times + 1):
        begin = time.perf_counter()
        _run(command, folder)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def _install_mib(folder: Path, peer: str) -> float:
    """Size on disk of the environment less the same environment when it was empty (`du -sk` both times)."""
    done = subprocess.run(["du", "-sk", str(folder / peer)], capture_output=True, text=True, check=True)
    bare = int((folder / f"{peer}.bare").read_text())
    return (int(done.stdout.split()[0]) - bare) / 1024


def _rows(passages: int) -> list[Row]:
    rows = [
        Row(label="xquad nDCG@10", path=("xquad", "ndcg_at_10"), show="{:.3f}", ratio=False),
        Row(label="xquad hit@1", path=("xquad", "hit_at_1"), show="{:.3f}", ratio=False),
        Row(label="xquad whole query p50, ms", path=("xquad", "query_ms_p50"), show="{:.1f}"),
        Row(label="xquad whole query p95, ms", path=("xquad", "query_ms_p95"), show="{:.1f}"),
        Row(label="xquad query embedding alone p50, ms", path=("xquad", "embed_ms_p50"), show="{:.1f}"),
        Row(label="xquad ingest, s", path=("xquad", "ingest_seconds"), show="{:.1f}"),
        Row(label="xquad peak memory, MiB", path=("xquad", "peak_rss_mib"), show="{:.0f}"),
        Row(label="xquad cold start, s", path=("cold_xquad",), show="{:.2f}"),
    ]
    if passages:
        name = f"{passages:,} passages"
        filtered = f"{name}, 1 % filter"
        right = ("large", "filtered", "satisfying_mean")
        rows += [
            Row(label=f"{name}: nDCG@10", path=("large", "ndcg_at_10"), show="{:.3f}", ratio=False),
            Row(label=f"{name}: whole query p50, ms", path=("large", "query_ms_p50"), show="{:.1f}"),
            Row(label=f"{name}: whole query p95, ms", path=("large", "query_ms_p95"), show="{:.1f}"),
            Row(
                label=f"{name}: query embedding alone p50, ms", path=("large", "embed_ms_p50"), show="{:.1f}"
            ),
            Row(
                label=f"{filtered}: query p50, ms", path=("large", "filtered", "query_ms_p50"), show="{:.1f}"
            ),
            Row(label=f"{filtered}: right results of 10", path=right, show="{:.1f}", ratio=False),
            Row(label=f"{name}: ingest, s", path=("large", "ingest_seconds"), show="{:.0f}"),
            Row(label=f"{name}: peak memory, MiB", path=("large", "peak_rss_mib"), show="{:.0f}"),
            Row(label=f"{name}: index on disk, MiB", path=("large", "index_mib"), show="{:.0f}"),
            Row(label=f"{name}: cold start, s", path=("cold_large",), show="{:.2f}"),
        ]
    return [
        *rows,
        Row(label="install beyond an empty environment, MiB", path=("install_mib",), show="{:.0f}"),
    ]


def _value(report: Report, path: Sequence[str]) -> float | None:
    found: Any = report
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else float(found)


def markdown(report: Report) -> str:
    """The tables: figures with their ratio to the first peer that was run, misbehaviours, versions, notes."""
    peers: dict[str, Report] = report["peers"]
    first = next(iter(peers))
    names = {peer: _identity(found).get("peer", peer) for peer, found in peers.items()}
    lines = [
        f"Run of {report['started']}, {report['cores']} cores; in brackets, times {names[first]}.",
        "",
        *_table("", list(names.values())),
    ]
    for row in _rows(report["passages"]):
        base = _value(peers[first], row.path)
        cells = [_cell(row, _value(found, row.path), base, peer == first) for peer, found in peers.items()]
        lines.append(f"| {row.label} | {' | '.join(cells)} |")
    lines += ["", *_table("silent misbehaviour", list(names.values()))]
    situations: Report = next((found["silent"]["found"] for found in peers.values() if "silent" in found), {})
    verdicts = {True: "**yes**", False: "no", None: "unknown"}
    for situation in situations:
        cells = []
        for found in peers.values():
            one = found.get("silent", {}).get("found", {}).get(situation)
            cells.append(f"{verdicts[one['misbehaves']]}: {one['detail']}".replace("|", "/") if one else "–")
        lines.append(f"| {situation.replace('_', ' ')} | {' | '.join(cells)} |")
    lines.append("")
    for peer, found in peers.items():
        identity = _identity(found)
        versions = ", ".join(f"{name} {number}" for name, number in identity.get("versions", {}).items())
        kept = identity.get("persists") or "nothing"
        lines.append(f"- **{names[peer]}** — {versions or 'not run'}. Kept as: {kept}.")
        lines += [f"  {note}" for note in identity.get("notes", [])]
        lines += [f"  Failed at {step}: {reason}" for step, reason in found.get("failed", {}).items()]
    loads = [found["load"] for found in peers.values() if "load" in found]
    if loads and max(loads) > 0.5:
        lines += ["", f"The machine was not quiet (load {max(loads):.1f}): the timings are a smoke test."]
    return "\n".join(lines) + "\n"


def _table(corner: str, columns: Sequence[str]) -> list[str]:
    return [f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]


def _identity(found: Report) -> Report:
    return found.get("xquad") or found.get("silent") or {}


def _cell(row: Row, value: float | None, base: float | None, is_base: bool) -> str:
    if value is None:
        return "–"
    shown = row.show.format(value)
    if is_base or not row.ratio or not base:
        return shown
    return f"{shown} ({value / base:.1f}×)"


if __name__ == "__main__":
    main()
