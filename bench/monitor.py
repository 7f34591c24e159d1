"""Does the watch see what breaks, and keep quiet otherwise? The figures of monitoring, with fixed seeds.

    python -m bench.monitor [--parts faults,healthy,review,overhead] [--corpus clapnq] [--only FAULT]

`faults`: every fault of the drill library comes into live traffic after a healthy baseline; counted are the
requests until an incident is open that names the right stage. `healthy`: streams of 20,000 readings drawn
with replacement from the readings of real healthy requests. `review`: 200 reviews of streams of known rates.
`overhead`: what a request pays. Nothing here needs a language model.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.drills import build, cases_of
from firstfault.collection.database import FILE, connect
from firstfault.config import Settings
from firstfault.drill import FAULTS, Fault, Workshop
from firstfault.drill.answerer import Answerer
from firstfault.errors import FirstfaultError
from firstfault.monitor import IncidentStore, Readings
from firstfault.monitor.explain import explain
from firstfault.monitor.reading import Reading, read
from firstfault.monitor.sampled import Sampler, is_sampled
from firstfault.monitor.spotcheck import Cell, allocate, rate
from firstfault.monitor.watch import Watch
from firstfault.serve.runtime import SharedVerifier
from firstfault.verify import open_verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstfault.answer import Application
    from firstfault.drill.sandbox import Sandbox
    from firstfault.monitor import Alert
    from firstfault.monitor.explain import Explanation
    from firstfault.types import Case

BASELINE = 300
REQUESTS = 200
EVERY = 10
"""Requests between two looks."""
SAMPLE = 0.1
CPU_SHARE = 0.03
RATE = 5.0
"""Requests a second: what the CPU share of background scores is a share of."""
HEALTHY = 20_000
CARRIED = ("traces", "readings", "monitor_state")


class Traffic:
    """Questions of users, one after the other, in an order that the seed decides."""

    def __init__(self, app: Application, cases: tuple[Case, ...], watch: Watch, seed: int) -> None:
        self.app, self.cases, self.watch = app, cases, watch
        self.readings = Readings(connect(app.config.home))
        self._random = random.Random(seed)
        self._sampler = Sampler(app)
        self._asked = 0
        self._spent = 0.0

    def ask(self, number: int) -> None:
        """So many requests, then one look of the watch."""
        for _ in range(number):
            case = self._random.choice(self.cases)
            self._asked += 1
            try:
                trace = self.app.ask(case.question, where=case.where, schema=case.schema)
            except FirstfaultError:
                continue
            if is_sampled(f"{self._asked}", SAMPLE) and self._spent <= CPU_SHARE * self._asked / RATE:
                began = time.process_time()
                for found in (self._sampler.score(trace), *self._sampler.canaries(trace)):
                    self.watch.feed(found)
                self._spent += time.process_time() - began
        self.app.traces.flush()
        self.readings.catch_up(self.app.settings.monitor)
        self.watch.tick()


def open_traffic(sandbox: Sandbox, app: Application, verifier: SharedVerifier, seed: int) -> Traffic:
    """Traffic over a copy, with a watch that diagnoses."""
    app.__dict__.setdefault("_verifiers", {})[app.settings.verifier] = verifier

    def diagnose(_collection: str, alerts: Sequence[Alert], began: str | None) -> Explanation:
        return explain(app, alerts, began=began)

    watch = Watch(connect(sandbox.home), app.settings, explain=diagnose)
    return Traffic(app, sandbox.cases, watch, seed)


def prepared(workshop: Workshop, sandbox: Sandbox) -> Sandbox:
    """A copy whose answers come from the cases as they were asked when it was healthy."""
    workshop._upstream.chat_model = Answerer(sandbox.cases)
    sandbox.set(monitor__baseline=BASELINE)
    for name in ("embed", "index", "fuse", "rerank", "pack", "first_token", "generate", "cite", "total"):
        sandbox.set(**{f"latency__{name}_ms": 1e9})
    return sandbox


def baseline(workshop: Workshop, scene: str, folder: Path, verifier: SharedVerifier) -> Path:
    """The database of a healthy copy after its baseline."""
    kept = folder / f"{scene}.db"
    with workshop.sandbox(scene) as sandbox:
        prepared(workshop, sandbox)
        with sandbox.application() as app:
            traffic = open_traffic(sandbox, app, verifier, seed=1)
            for _ in range(BASELINE // 50 + 1):
                traffic.ask(50)
            traffic.watch.save()
            alarms = raised_by(traffic.watch)
            print(f"  baseline of {scene}: {BASELINE} requests, raised {alarms}", flush=True)
        with closing(sqlite3.connect(sandbox.home / FILE)) as source, closing(sqlite3.connect(kept)) as copy:
            source.backup(copy)
    return kept


def raised_by(watch: Watch) -> list[str]:
    """Rules whose test is at its alarm."""
    return [rule for rule, stream in watch.streams().items() if stream.raised]


def shifted_by(watch: Watch) -> list[str]:
    """Rules whose signal failed more often than at rest, surely: binomial tail below 1e-5."""
    found = []
    for rule, stream in watch.streams().items():
        if stream.rest is None or not stream.recent:
            continue
        n, bad = len(stream.recent), sum(failed for _, failed in stream.recent)
        p = stream.rest.failures
        tail = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(bad, n + 1))
        if tail < 1e-5:
            found.append(rule)
    return found


def carry(kept: Path, home: Path) -> None:
    """Give a copy the past of the healthy one."""
    with closing(sqlite3.connect(home / FILE)) as target:
        target.execute("ATTACH ? AS past", (str(kept),))
        for table in CARRIED:
            target.execute(f"DELETE FROM {table}")
            target.execute(f"INSERT INTO {table} SELECT * FROM past.{table}")
        target.commit()


def drill(workshop: Workshop, fault: Fault, kept: Path, verifier: SharedVerifier) -> dict[str, object]:
    """One fault in live traffic."""
    with workshop.sandbox(fault.scene) as sandbox:
        prepared(workshop, sandbox)
        try:
            fault.inject(sandbox, fault.severity)
        except FirstfaultError as error:
            return {"fault": fault.name, "skipped": str(error)}
        workshop._upstream.chat_model = Answerer(sandbox.cases)
        connect(sandbox.home).dispose()
        carry(kept, sandbox.home)
        with sandbox.application() as app:
            traffic = open_traffic(sandbox, app, verifier, seed=2)
            incidents = IncidentStore(connect(sandbox.home))
            opened, right, found = None, None, None
            for done in range(EVERY, REQUESTS + 1, EVERY):
                traffic.ask(EVERY)
                found = incidents.open_one("default") or found
                if found is not None and opened is None:
                    opened = done
                if found is not None and found.stage == fault.stage:
                    right = done
                    break
            shifted = shifted_by(traffic.watch)
    return {
        "fault": fault.name,
        "set": fault.set,
        "stage": fault.stage.value,
        "cause": fault.cause,
        "opened": opened,
        "right": right,
        "named": f"{found.stage}/{found.cause}" if found else None,
        "proven": found.proven if found else None,
        "rules": list(found.rules) if found else [],
        "shifted": shifted,
    }


def faults(given: argparse.Namespace) -> None:
    cases = cases_of(given.corpus, given.cases)
    wanted = [FAULTS[name] for name in given.only] if given.only else list(FAULTS.values())
    with tempfile.TemporaryDirectory() as folder:
        config = build(given.corpus, Path(folder) / "home")
        verifier = SharedVerifier(open_verifier(config.settings.verifier, home=config.home))
        past: dict[str, Path] = {}
        outcomes = []
        with Workshop(config, cases) as workshop:
            for fault in wanted:
                if fault.scene not in past:
                    past[fault.scene] = baseline(workshop, fault.scene, Path(folder), verifier)
                began = time.monotonic()
                one = drill(workshop, fault, past[fault.scene], verifier)
                outcomes.append(one)
                print(f"  {json.dumps(one)} {time.monotonic() - began:.0f} s", flush=True)
                if given.out:
                    with given.out.open("a", encoding="utf-8") as lines:
                        lines.write(json.dumps(one) + "\n")
            if "plain" in past:
                Path("bench/out").mkdir(exist_ok=True)
                Path("bench/out/healthy.db").write_bytes(past["plain"].read_bytes())
    run = [one for one in outcomes if "skipped" not in one]
    changing = [one for one in run if one["shifted"] or one["opened"]]
    print(f"  {len(run)} faults run, {len(outcomes) - len(run)} could not be placed")
    print(f"  {len(changing)} change a monitored metric")
    opened = [one for one in changing if one["opened"]]
    right = [one for one in changing if one["right"]]
    print(f"  alert within {REQUESTS} requests: {len(opened)}; with the right stage: {len(right)}")
    print(f"  unseen: {', '.join(str(one['fault']) for one in run if not one['opened'])}")
    wrong = [f"{one['fault']} ({one['named']})" for one in changing if one["opened"] and not one["right"]]
    print(f"  another stage: {', '.join(wrong)}")


def healthy(given: argparse.Namespace) -> None:
    """Streams drawn from the readings of healthy requests, which the part `faults` leaves in bench/out."""
    source = Path("bench/out/healthy.db")
    if not source.exists():
        raise SystemExit("run the part `faults` first: it leaves healthy readings in bench/out/healthy.db")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / FILE).write_bytes(source.read_bytes())
        engine = connect(home)
        pool = Readings(engine).window(limit=5000)
        settings = build_settings()
        quiet = 0
        for seed in range(given.streams):
            draw = random.Random(seed)
            engine = connect(home / f"stream-{seed}")
            watch = Watch(engine, settings)
            raised: Counter[str] = Counter()
            for number in range(BASELINE + HEALTHY):
                one = draw.choice(pool)
                watch.feed(replace(one, trace_id=str(number)) if number % 10 == 0 else dry(one, number))
                raised.update(raised_by(watch))
                if raised:
                    break
            quiet += not raised
            said = f"alarm at {number}: {dict(raised)}" if raised else "quiet"
            print(f"  stream {seed}: {said}", flush=True)
        print(f"  {quiet} of {given.streams} streams of {HEALTHY:,} healthy requests without an alert")


def dry(one: Reading, number: int) -> Reading:
    """The reading without what only a sample of the requests has."""
    sampled = {"sufficiency", "context_precision", "index_agrees", "canary_lost"}
    values = {name: value for name, value in one.values.items() if name not in sampled}
    return replace(one, trace_id=str(number), values=values)


def build_settings() -> Settings:
    """The defaults, with the baseline of these figures."""
    return Settings().override({"monitor.baseline": str(BASELINE)})


def review(given: argparse.Namespace) -> None:
    """A stream of 5,000 sentences with strata of known rates; 200 reviews; does the interval cover?"""
    for name, strata in STREAMS.items():
        covered = widths = 0.0
        total = sum(n for n, _ in strata.values())
        errors = []
        for seed in range(given.simulations):
            draw = random.Random(seed)
            truth = {
                key: [float(draw.random() < share) for _ in range(n)] for key, (n, share) in strata.items()
            }
            true = sum(map(sum, truth.values())) / total
            sizes = allocate({key: n for key, (n, _) in strata.items()}, 200, special=tuple(strata)[:-1])
            found = rate(
                [
                    Cell(population=len(values), values=tuple(draw.sample(values, sizes[key])))
                    for key, values in truth.items()
                ]
            )
            assert found.value is not None
            assert found.low is not None
            assert found.high is not None
            assert found.value is not None
            assert found.low is not None
            assert found.high is not None
            covered += found.low <= true <= found.high
            widths += found.high - found.low
            errors.append(found.value - true)
        n = given.simulations
        print(
            f"  {name}: covered {covered / n:.1%} of {n}, mean width {widths / n:.3f}, "
            f"bias {sum(errors) / n:+.4f}"
        )


STREAMS = {
    "2 %": {"down": (30, 0.3), "disagree": (100, 0.2), "uncertain": (300, 0.08), "ordinary": (4570, 0.011)},
    "5 %": {"down": (50, 0.5), "disagree": (200, 0.3), "uncertain": (500, 0.15), "ordinary": (4250, 0.02)},
    "10 %": {"down": (100, 0.6), "disagree": (300, 0.4), "uncertain": (800, 0.2), "ordinary": (3800, 0.05)},
    "20 %, uninformative": {"uncertain": (1000, 0.2), "ordinary": (4000, 0.2)},
    "40 %": {"down": (400, 0.9), "disagree": (600, 0.7), "uncertain": (1000, 0.5), "ordinary": (3000, 0.25)},
}


def overhead(given: argparse.Namespace) -> None:
    """CPU of what monitoring does for a request, held against the CPU of the request."""
    cases = cases_of(given.corpus, given.cases)
    with tempfile.TemporaryDirectory() as folder:
        config = build(given.corpus, Path(folder) / "home")
        settings = config.settings.override({"generator.kind": "extractive"})
        from firstfault.answer import Application

        with Application(replace(config, settings=settings)) as app:
            traces = [app.ask(case.question) for case in cases[:5]]
            began = time.process_time()
            traces = [app.ask(case.question) for case in cases]
            asking = (time.process_time() - began) / len(cases)
            app.traces.flush()
            engine = connect(config.home)
            readings, watch = Readings(engine), Watch(engine, settings)
            began = time.process_time()
            found = [read(trace, settings.monitor) for trace in traces for _ in range(20)]
            reading = (time.process_time() - began) / len(found)
            found = [replace(one, trace_id=f"{one.trace_id}-{i}") for i, one in enumerate(found)]
            random.Random(0).shuffle(found)
            began = time.process_time()
            for start in range(0, len(found), 25):
                readings.add(found[start : start + 25])
                watch.tick()
            judging = (time.process_time() - began) / len(found)
    share = (reading + judging) / asking
    print(f"  a request takes {asking * 1000:.1f} ms of CPU (extractive, {given.corpus})")
    print(f"  its reading {reading * 1e6:.0f} µs in the request, judging {judging * 1e6:.0f} µs beside it")
    print(f"  together {share:.2%}; background scores take at most monitor.cpu_share = 3 % of a core more")


def main() -> None:
    parser = argparse.ArgumentParser(description="Figures of monitoring.")
    parser.add_argument("--parts", default="faults,healthy,review,overhead")
    parser.add_argument("--corpus", default="clapnq", choices=("clapnq", "xquad"))
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--only", action="append")
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    for part in given.parts.split(","):
        print(part, flush=True)
        {"faults": faults, "healthy": healthy, "review": review, "overhead": overhead}[part](given)


if __name__ == "__main__":
    main()
