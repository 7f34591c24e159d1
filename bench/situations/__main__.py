"""`python -m bench.situations`: play the situations and print how often the diagnosis is right.

    python -m bench.situations              # the 120 broken and 50 healthy situations
    python -m bench.situations --more                 # and six more faults
    python -m bench.situations --only split_evidence --seeds 3
    python -m bench.situations --check                # does every fault show, and is it gone when repaired?

Verdicts go to bench/out/situations.json, what rivals need into bench/out/situations/.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.situations import faults
from bench.situations.endpoint import Encoders, Endpoint
from bench.situations.faults import Situation
from bench.situations.stage import CommandError, Played, play
from firstfault.models import store
from firstfault.models.onnx_embedder import OnnxEmbedder

OUT = Path("bench/out")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.situations", description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", choices=sorted(faults.ALL), help="repeatable")
    parser.add_argument("--more", action="store_true", help="also the six faults outside the table")
    parser.add_argument("--seeds", type=int, default=10, help="situations of each kind")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--check", action="store_true", help="also play each broken situation repaired")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    names = given.only or [*faults.FAULTS, *(faults.MORE_FAULTS if given.more else ()), *faults.CONTROLS]
    records = []
    begin = time.perf_counter()
    store.ensure("all-MiniLM-L6-v2", None)
    encoder = OnnxEmbedder("all-MiniLM-L6-v2")
    encoders = Encoders(encoder.embed)
    (given.out / "situations").mkdir(parents=True, exist_ok=True)
    with Endpoint() as endpoint, tempfile.TemporaryDirectory(prefix="situations-") as folder:
        for seed in range(given.first, given.first + given.seeds):  # a cut run has seen every kind
            for name in names:
                situation = faults.build(name, seed)
                record = _record(situation, Path(folder) / "s", endpoint, encoders, check=given.check)
                bundle = {**record, "traces": record.pop("traces", []), "corpus": record.pop("corpus", [])}
                path = given.out / "situations" / f"{situation.id}.json"
                path.write_text(json.dumps(bundle, ensure_ascii=False, indent=1))
                records.append(record)
                print(_line(record), file=sys.stderr, flush=True)
                (given.out / "situations.json").write_text(json.dumps(records, ensure_ascii=False, indent=1))
    print(table(records))
    print(f"\n{len(records)} situations in {time.perf_counter() - begin:.0f} s")
    return 0


def _record(
    situation: Situation, folder: Path, endpoint: Endpoint, encoders: Encoders, *, check: bool
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": situation.id,
        "name": situation.name,
        "stage": situation.stage,
        "cause": situation.cause,
        "subject": situation.world.subject,
        "documents": len(situation.world.pages),
        "cases": len(situation.world.questions),
        "settings": situation.settings,
    }
    try:
        played = play(situation, folder, endpoint, encoders)
    except CommandError as failure:
        return {**record, "error": str(failure), "healthy": None, "got": None, "traces": []}
    record |= _verdict(played)
    record |= {
        "wrong": len(played.wrong),
        "wrong_cases": played.wrong,
        "seconds": played.seconds,
        "requests": played.requests,
        "traces": played.traces,
        "corpus": played.corpus,
    }
    if check and situation.healthy is not None:
        repaired = play(situation, folder, endpoint, encoders, repaired=True)
        record["wrong_when_repaired"] = len(repaired.wrong)
    return record


def _verdict(played: Played) -> dict[str, Any]:
    found = played.verdict
    primary = found["primary"]
    return {
        "healthy": found["healthy"],
        "got": [primary["stage"], primary["cause"]] if primary else None,
        "evidence": primary["evidence"] if primary else "",
        "findings": [
            [f["stage"], f["cause"], len(f["cases"]), f["verified"], f["evidence"]] for f in found["findings"]
        ],
        "scattered": [
            [f["stage"], f["cause"], len(f["cases"]), f["evidence"]] for f in found.get("scattered", [])
        ],
        "unknown": [[u["case_id"], u["reason"], u["next_probe"]] for u in found["unknown"]],
        "flaky": list(found.get("flaky", ())),
        "failing": found["failing"],
    }


def right(record: dict[str, Any]) -> bool:
    """Whether stage and cause, or health, were named."""
    if record["stage"] is None:
        return bool(record["healthy"])
    return bool(record["got"] == [record["stage"], record["cause"]])


def _line(record: dict[str, Any]) -> str:
    got = "healthy" if record["healthy"] else "/".join(record["got"] or ["unknown"])
    mark = "ok " if right(record) else "BAD"
    times = sum(record.get("seconds", {}).values())
    repaired = f", repaired {record['wrong_when_repaired']}" if "wrong_when_repaired" in record else ""
    error = f" {record['error'][:200]}" if "error" in record else ""
    wrong = f"wrong {record.get('wrong')}/{record['cases']}{repaired}"
    return f"{mark} {record['id']:<28} {got:<36} {wrong}  {times:.1f} s{error}"


def table(records: Iterable[dict[str, Any]]) -> str:
    """One row a kind: stage named, cause named, or healthy."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        kinds.setdefault(record["name"], []).append(record)
    lines = ["| situation | stage | n | stage named | cause named |", "|---|---|---|---|---|"]
    totals = {"table": [0, 0, 0], "more": [0, 0, 0], "controls": [0, 0, 0]}
    for name, rows in kinds.items():
        if rows[0]["stage"] is None:
            calm = sum(bool(row["healthy"]) for row in rows)
            group, counts = "controls", [len(rows), calm, calm]
            lines.append(f"| {name} | – | {len(rows)} | healthy: {calm} | |")
        else:
            stages = sum(row["got"] is not None and row["got"][0] == row["stage"] for row in rows)
            causes = sum(right(row) for row in rows)
            group, counts = "table" if name in faults.FAULTS else "more", [len(rows), stages, causes]
            lines.append(f"| {name} | {rows[0]['stage']} | {len(rows)} | {stages} | {causes} |")
        totals[group] = [a + b for a, b in zip(totals[group], counts, strict=True)]
    for group, label in (("table", "faults of the table"), ("more", "six more faults")):
        n, stages, causes = totals[group]
        if n:
            lines.append(f"| **{label}** | | {n} | **{stages}** | **{causes}** |")
    n, calm, _ = totals["controls"]
    if n:
        lines.append(f"| **healthy applications** | | {n} | **{calm}** called healthy | |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
