"""Figures that need training: the whole line, runs with a planted fault, replay, resuming, adapters in turn.

Each runs the command line in processes of its own, as a user would, on the embedded model.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.finetune.tickets import SCHEMA, tickets

HELD = 60
HELD_SEED = 7
"""Of the held-out tickets."""
SEEDS = range(1, 6)
PROGRAM = "from firstfault.cli import process; process()"
NO_FAULT = ("healthy", "unknown")
"""What a drill names where it names no stage."""


def command(home: Path, *arguments: str | Path) -> tuple[int, Any]:
    """Exit code and JSON of a command."""
    line = [sys.executable, "-c", PROGRAM, "--home", str(home / "home"), *map(str, arguments), "--json"]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None


def prepared(home: Path, rows: list[dict[str, Any]]) -> tuple[Path, Path, Path]:
    """Training, held-out and schema files; no held-out ticket stands in training."""
    home.mkdir(parents=True, exist_ok=True)
    raw, train, held, schema = (
        home / name for name in ("raw.jsonl", "train.jsonl", "held.jsonl", "schema.json")
    )
    raw.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fresh = tickets(HELD, seed=HELD_SEED)
    held.write_text("".join(json.dumps(row) + "\n" for row in fresh))
    schema.write_text(json.dumps(SCHEMA))
    command(home, "finetune", "clean", raw, "--validation", held, "--out", train)
    return train, held, schema


def whole(home: Path, rows: list[dict[str, Any]], *options: str) -> dict[str, Any]:
    """Train, measure, gate and diagnose."""
    began = time.perf_counter()
    train, held, schema = prepared(home, rows)
    command(home, "finetune", "train", train, "--validation", held, "--schema", schema, *options)
    command(home, "finetune", "bench", "last")
    code, gates = command(home, "finetune", "gate", "last")
    _, found = command(home, "finetune", "diagnose", "last")
    return {
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "passed": code == 0,
        "failed": [one["name"] for one in gates["gates"] if one["status"] == "fail"],
        "gates": {one["name"]: one["reason"] for one in gates["gates"]},
        "first_fault": found["primary"] and f"{found['primary']['stage']}.{found['primary']['cause']}",
    }


def line(given: argparse.Namespace) -> dict[str, Any]:
    """Check, train, bench, gate, release, ask."""
    began = time.perf_counter()
    home = given.home / "line"
    made = whole(home, tickets(given.examples))
    released, _ = command(home, "finetune", "release", "last", "tickets")
    question = tickets(1, seed=HELD_SEED)[0]["prompt"]
    asking = ("--set", "search.enabled=false", "ask", question, "--adapter", "tickets")
    valid, answered = command(home, *asking, "--schema", home / "schema.json")
    minutes = round((time.perf_counter() - began) / 60, 1)
    said = answered["answer"] if answered else None
    return {**made, "minutes": minutes, "released": released == 0, "valid": valid == 0, "answer": said}


PLANTED = ("high_rate", "few_examples", "wrong_labels", "wrong_template", "adapter_scale_lost")
"""The five ways of the drill library in which a fine-tuning is destroyed."""


def seeds(given: argparse.Namespace) -> dict[str, Any]:
    """Healthy runs, each with a seed of its own for the tickets and the training: all should pass."""
    found = {}
    for seed in given.seed or SEEDS:
        rows = tickets(given.examples, seed=seed + HELD_SEED)
        found[seed] = whole(given.home / "seeds", rows, "--set", f"seed={seed}")
    return {"passed": sum(one["passed"] for one in found.values()), "of": len(found), "runs": found}


def faults(given: argparse.Namespace) -> dict[str, Any]:
    """Five planted faults; each should be stopped, or fail at the gate, with its name."""
    train, held, schema = prepared(given.home / "faults", tickets(given.examples))
    options = [part for name in given.only or PLANTED for part in ("--fault", name)]
    files = (train, "--validation", held, "--schema", schema)
    _, made = command(given.home / "faults", "drill", "tuning", *files, *options, "--anyway", "--no-control")
    found = {}
    for one in made["drills"]:
        first = one["found"]
        found["{stage}.{cause}".format(**one["expected"][0])] = {
            "minutes": round(one["seconds"] / 60, 1),
            "passed": not one["stopped"],
            "failed": one["failed"],
            "gates": {gate["name"]: gate["reason"] for gate in one["gates"]},
            "first_fault": None if first["stage"] in NO_FAULT else f"{first['stage']}.{first['cause']}",
        }
    right = sum(one["first_fault"] == wanted and not one["passed"] for wanted, one in found.items())
    return {"right": right, "of": len(found), "runs": found}


def replay(given: argparse.Namespace) -> dict[str, Any]:
    """Abilities lost at a harmful rate, without replay and with it."""
    rows = tickets(given.examples)
    found = {}
    for share in ("0", "0.3"):
        home = given.home / f"replay-{share}"
        whole(home, rows, "--set", "learning_rate=0.003", "--set", f"replay={share}")
        _, run = command(home, "finetune", "show", "last")
        axes = run["bench"]["axes"]
        found[share] = {one["name"]: round(one["before"] - one["after"], 4) for one in axes}
    return found


def resume(given: argparse.Namespace) -> dict[str, Any]:
    """The last losses of a training that was killed and resumed, and of one that was not."""
    rows = tickets(min(given.examples, 64))
    losses = []
    for name in ("whole", "killed"):
        home = given.home / f"resume-{name}"
        shutil.rmtree(home, ignore_errors=True)
        train, held, _ = prepared(home, rows)
        options = ("--set", "epochs=1", "--set", "checks=2", "--set", "replay=0")
        arguments = ["--home", home / "home", "finetune", "train", train, "--validation", held, *options]
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, arguments)])
        if name == "killed":
            runs = home / "home" / "finetune" / "runs"
            while len(list(runs.glob("*/best-*"))) == 0 and process.poll() is None:
                time.sleep(0.2)
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        if name == "killed":
            command(home, "finetune", "resume", "last")
        _, run = command(home, "finetune", "show", "last")
        losses.append([point["validation_loss"] for point in run["points"]])
    return {"whole": losses[0], "killed": losses[1], "relative": abs(losses[1][-1] / losses[0][-1] - 1)}


def adapters(given: argparse.Namespace) -> dict[str, Any]:
    """Adapters A and B and none asked in turn with a shared prefix: how many answers are another's."""
    import asyncio

    from tests.models.test_llama import write_adapter

    from firstfault.answer.application import Application
    from firstfault.config import load
    from firstfault.types import Message

    given.home.mkdir(parents=True, exist_ok=True)
    files = {None: None, "a": given.home / "a.gguf", "b": given.home / "b.gguf"}
    write_adapter(given.home / "a.gguf", 1.0)
    write_adapter(given.home / "b.gguf", 3.0)
    config = load(given.home / "adapters", environment={})
    prefix = Message(role="system", content="You answer in one short sentence, politely and precisely.")

    async def said(generator: Any, number: int) -> str:
        turns = (prefix, Message(role="user", content=f"What is {number % 7} plus 2?"))
        return "".join([delta.text async for delta in generator.stream(turns, max_tokens=5)])

    async def ask() -> dict[str, Any]:
        app = Application(config)
        first: dict[tuple[str | None, int], str] = {}
        other = 0
        for number in range(given.rounds):
            for name, file in files.items():
                settings = config.settings.generator.model_copy(
                    update={"adapter": str(file) if file else None}
                )
                answer = await said(app.generator(settings), number)
                other += first.setdefault((name, number % 7), answer) != answer
        asked = range(min(7, given.rounds))
        distinct = len({tuple(first[name, i] for i in asked) for name in files})
        await app.aclose()
        return {
            "asked": given.rounds * len(files),
            "other_than_before": other,
            "distinct_behaviours": distinct,
        }

    return asyncio.run(ask())
