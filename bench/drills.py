"""Whether the diagnosis names what is broken: the figures of the drills, with fixed seeds.

    python -m bench.drills [--corpus clapnq] [--cases 40] [--parts single,blind,double,control,half]

In: the question-answering corpora of the shared data. Out: rates, the confusion matrix and each miss, on the
terminal; every outcome as a line of JSON in --out. Nothing here needs a language model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from bench.peers.corpus import data_folder
from firstfault.answer import Application
from firstfault.config import Config, load
from firstfault.drill import Outcome, Workshop, report, series
from firstfault.drill.library import of_set
from firstfault.evaluate import read_cases
from firstfault.ingest import Chunker, ingest
from firstfault.types import Case

UNANSWERABLE_SHARE = 4
"""One case in so many should be abstained from."""
GENERATE_MS = "800"
"""A budget for the whole generation, so that a slow stream can be over it; the others are the defaults."""


def cases_of(corpus: str, count: int) -> list[Case]:
    """Answerable cases spread over the documents, and unanswerable ones (for XQuAD, of ClapNQ)."""
    folder = data_folder() / "qa"
    own = read_cases(folder / corpus / "cases.jsonl.gz")
    absent = [case for case in read_cases(folder / "clapnq" / "cases.jsonl.gz") if case.answerable is False]
    answerable = [case for case in own if case.answerable]
    wanted = count - count // UNANSWERABLE_SHARE
    step = max(1, len(answerable) // wanted)
    return answerable[::step][:wanted] + absent[: count // UNANSWERABLE_SHARE]


def build(corpus: str, home: Path) -> Config:
    config = load(home, environment={}, overrides={"latency.generate_ms": GENERATE_MS})
    with Application(config, create=True) as app:
        chunker = Chunker(config.settings.chunking, app.embedder)
        ingest(app.collection, [data_folder() / "qa" / corpus / "documents.jsonl.gz"], chunker=chunker)
    return config


def run(workshop: Workshop, part: str, *, seed: int, pairs: int, controls: int) -> Iterator[Outcome]:
    match part:
        case "single":
            drills = series.singles(of_set("development"), seed=seed)
        case "blind":
            drills = series.singles(of_set("blind"), seed=seed)
        case "double":
            drills = series.doubles(of_set("development"), pairs=pairs, seed=seed)
        case "control":
            drills = series.controls(seeds=range(controls), count=20)
        case "half":
            for fault in (*of_set("development"), *of_set("blind")):
                found, trials = series.half_detection(workshop, fault)
                print(
                    f"    half of {fault.name} is detected at {found if found else 'no severity'}", flush=True
                )
                yield from trials
            return
        case other:
            raise SystemExit(f"no part {other!r}")
    for one in drills:
        yield one.run(workshop)


def show(part: str, outcomes: list[Outcome], seconds: float) -> None:
    if part == "half":
        return
    found = report.summarize(outcomes)
    print(f"  {part}: {len(outcomes)} drills in {seconds:.0f} s")
    for name, rate in report.rates_of(found):
        print(f"    {name:<36} {rate}")
    probed = [
        1e3 * one.seconds_diagnose / one.hurt for one in outcomes if one.hurt >= 5 and not one.model_calls
    ]
    if probed:
        print(
            f"    probing a failing case, no generation: median {statistics.median(probed):.0f} ms, "
            f"slowest fault {max(probed):.0f} ms ({len(probed)} drills)"
        )
    for one in outcomes:
        right = one.cause_named and (len(one.faults) < 2 or one.others_listed)
        if not right:
            expected = " then ".join(map(str, one.expected)) or "healthy"
            print(
                f"    {' + '.join(one.faults) or one.scene}: expected {expected}, "
                f"named {one.skipped or one.found}, listed {', '.join(map(str, one.listed))}; "
                f"hurt {one.hurt} of {one.cases}"
            )


def keep(outcomes: Iterable[Outcome], corpus: str, part: str, file: Path | None) -> Iterator[Outcome]:
    for outcome in outcomes:
        if file is not None:
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"corpus": corpus, "part": part, **asdict(outcome)}) + "\n")
        yield outcome


def main() -> None:
    parser = argparse.ArgumentParser(description="Figures of the drills.")
    parser.add_argument("--corpus", action="append", choices=("clapnq", "xquad"))
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--parts", default="single,blind,double,control")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--controls", type=int, default=50)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    for corpus in given.corpus or ("clapnq", "xquad"):
        cases = cases_of(corpus, given.cases)
        print(f"{corpus}: {len(cases)} cases, seed {given.seed}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            config = build(corpus, Path(folder) / "home")
            with Workshop(config, cases) as workshop:
                for part in given.parts.split(","):
                    started = time.monotonic()
                    found = run(workshop, part, seed=given.seed, pairs=given.pairs, controls=given.controls)
                    outcomes = list(keep(found, corpus, part, given.out))
                    show(part, outcomes, time.monotonic() - started)


if __name__ == "__main__":
    main()
