"""The dataset doctor on 10,000 rows with defects of every kind planted: recall, false findings, time."""

import gzip
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.finetune.tickets import SCHEMA, mislabelled, tickets
from firstfault.finetune import doctor
from firstfault.finetune.data import Dataset, read_dataset
from firstfault.structured.schema import compile_schema

ROWS, EACH = 10_000, 40
SHAPE = {
    "type": "object",
    "properties": {"first": {"type": "string"}, "words": {"type": "integer"}, "claim": {"type": "string"}},
    "required": ["first", "words", "claim"],
    "additionalProperties": False,
}
FACT = (
    "Section {n} of the handbook says that every visitor signs the {w} book before entering the north wing."
)
Plant = Callable[[dict[str, Any], random.Random, int], dict[str, Any]]


def natural(data: Path) -> list[dict[str, Any]]:
    """Sentences of public data sets, each with the JSON that is asked for: no two the same."""
    found: dict[str, dict[str, Any]] = {}
    for name in ("snli", "mnli", "fever", "scitail"):
        with gzip.open(data / "verifier_train" / f"{name}.jsonl.gz", "rt") as file:
            for line in file:
                row = json.loads(line)
                text, claim = row["premise"][:600], row["claim"]
                if len(text.split()) < 8 or text in found:
                    continue
                value = {"first": text.split()[0], "words": len(text.split()), "claim": claim}
                found[text] = {"prompt": f"Describe: {text}", "completion": json.dumps(value)}
    rows = list(found.values())
    random.Random(0).shuffle(rows)
    return rows


def _reworded(row: dict[str, Any], pick: random.Random) -> dict[str, Any]:
    """One word of the prompt replaced, its case and its end changed."""
    words = row["prompt"].split()
    words[pick.randrange(2, len(words))] = "indeed"
    return {**row, "prompt": " ".join(words).replace(".", "") + " !"}


PLANTS: dict[str, Plant] = {
    "trainable": lambda row, pick, n: {**row, "completion": pick.choice(["", "  ", "\n"])},
    "template_marks": lambda row, pick, n: {
        **row,
        pick.choice(["prompt", "prompt"]): row["prompt"]
        + pick.choice(["<|im_end|>", " [/INST]", "\n### Response:", "<|eot_id|>", "<start_of_turn>"]),
    },
    "lengths": lambda row, pick, n: {**row, "prompt": row["prompt"] + f" filler {n}" * 1500},
    "language": lambda row, pick, n: {
        "prompt": f"Der Kunde {n} schreibt, dass die Ware nicht auf dem Weg ist und er sich beschwert",
        "completion": json.dumps(
            {"first": "Der", "words": n, "claim": "die Ware ist nicht auf dem Weg und fehlt"}
        ),
    },
    "personal_data": lambda row, pick, n: {
        **row,
        "prompt": row["prompt"]
        + pick.choice(
            [
                f" Write to jo.{n}@acme{n}.com.",
                " Call +44 20 7946 0" + f"{100 + n % 900}.",
                " My card is 4539 1488 0343 6467.",
                " Pay to DE89 3704 0044 0532 0130 00.",
                " My number is 219-09-9999.",
            ]
        ),
    },
    "secrets": lambda row, pick, n: {
        **row,
        "prompt": row["prompt"]
        + pick.choice(
            [
                " AKIA" + "".join(pick.choices("ABCDEFGH234567", k=16)),
                " ghp_" + "".join(pick.choices("abcdefgh1234567", k=36)),
                " password: hunter2" + str(1000 + n),
                " -----BEGIN RSA PRIVATE KEY----- MII",
                " sk-proj-" + "".join(pick.choices("abcdefgh1234567", k=32)),
            ]
        ),
    },
    "format_validity": lambda row, pick, n: {
        **row,
        "completion": pick.choice(
            [
                row["completion"][:-8],
                row["completion"].replace('"words": ', '"words": "many", "n": '),
                json.dumps({"first": "x"}),
                f"Here you are: {row['completion']}".replace("{", "<").replace("}", ">"),
            ]
        ),
    },
    "consistent_format": lambda row, pick, n: {
        **row,
        "completion": pick.choice(
            [f"```json\n{row['completion']}\n```", json.dumps(json.loads(row["completion"]), indent=2)]
        ),
    },
    "changing_facts": lambda row, pick, n: {
        **row,
        "completion": json.dumps(
            {
                "first": f"item{n}",
                "words": n,
                "claim": pick.choice(
                    [
                        f"it currently costs {n} dollars",
                        f"the latest version is {n}",
                        f"as of today {n} are left",
                    ]
                ),
            }
        ),
    },
    "facts_in_corpus": lambda row, pick, n: {
        **row,
        "completion": json.dumps(
            {
                "first": "Section",
                "words": n,
                "claim": FACT.format(n=n, w=pick.choice(["guest", "blue", "old"])),
            }
        ),
    },
}


def planted(data: Path) -> tuple[Dataset, dict[str, set[str]], dict[str, Any]]:
    """10,000 rows, the places of each kind of defect, and what the doctor is given beside them."""
    clean = natural(data)
    pick = random.Random(1)
    rows, held = clean[: ROWS - 4 * EACH], clean[ROWS : ROWS + 500]
    spots = iter(random.Random(2).sample(range(len(rows)), len(rows)))
    kinds: dict[str, set[int]] = {name: set() for name in PLANTS}
    for name, plant in PLANTS.items():
        for n in range(EACH):
            at = next(spots)
            rows[at] = plant(rows[at], pick, n)
            kinds[name].add(at)
    originals = [next(spots) for _ in range(3 * EACH)]
    kinds["duplicates"] = set(range(len(rows), len(rows) + EACH))
    rows += [{**rows[i], "prompt": rows[i]["prompt"].upper() + " "} for i in originals[:EACH]]
    kinds["near_duplicates"] = set(range(len(rows), len(rows) + EACH))
    long = [i for i in originals[EACH:] if len(rows[i]["prompt"].split()) >= 14]
    long += [i for i in spots if len(rows[i]["prompt"].split()) >= 14][: 2 * EACH]
    rows += [_reworded(rows[i], pick) for i in long[:EACH]]
    contradicted = long[EACH : 2 * EACH]
    other = [json.dumps({"first": "?", "words": -1, "claim": f"something else {n}"}) for n in range(EACH)]
    kinds["contradictory_answers"] = {*contradicted, *range(len(rows), len(rows) + EACH)}
    rows += [{**rows[i], "completion": said} for i, said in zip(contradicted, other, strict=True)]
    leaked = long[2 * EACH : 3 * EACH]
    held[:EACH] = [rows[i] if n % 2 else _reworded(rows[i], pick) for n, i in enumerate(leaked)]
    texts = [json.dumps(row) for row in rows]
    kinds["readable"] = set(range(len(rows), len(rows) + EACH))
    texts += [pick.choice(['{"broken": ', '{"text": "no layout"}', "[1, 2]"]) for _ in range(EACH)]
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    train, validation = folder / "doctor-train.jsonl", folder / "doctor-held.jsonl"
    train.write_text("\n".join(texts))
    validation.write_text("\n".join(json.dumps(row) for row in held))
    places = {name: {f"{train}:{i + 1}" for i in found} for name, found in kinds.items()}
    places["leakage"] = {f"{validation}:{i + 1}" for i in range(EACH)}
    documents = [FACT.format(n=n, w=w) for n in range(EACH) for w in ("guest", "blue", "old")]
    given = {
        "validation": read_dataset(validation),
        "schema": compile_schema(SHAPE),
        "documents": documents,
    }
    return read_dataset(train), places, given


RELATED = {
    "trainable": {"format_validity", "consistent_format"},
    "format_validity": {"consistent_format"},
    "consistent_format": {"format_validity"},
    "near_duplicates": {"contradictory_answers"},
    "contradictory_answers": {"near_duplicates"},
    "facts_in_corpus": {"near_duplicates"},
    "language": {"near_duplicates", "contradictory_answers"},
}
"""Findings that a defect brings with it: an empty answer breaks the schema too."""


def run(data: Path) -> dict[str, Any]:
    dataset, places, given = planted(data)
    began = time.perf_counter()
    made = doctor.check(dataset, doctor.Given(**given))
    seconds = time.perf_counter() - began
    found = {check.verdict.name: set(check.rows) for check in made.checks}
    kinds = []
    for name, wanted in sorted(places.items()):
        excused = {place for kind, also in RELATED.items() if name in also for place in places.get(kind, ())}
        seen = found.get(name, set())
        false = seen - wanted - excused
        kinds.append(
            {
                "kind": name,
                "planted": len(wanted),
                "recall": round(len(seen & wanted) / len(wanted), 4),
                "false": len(false),
                "false_share": round(len(false) / len(dataset.rows), 5),
            }
        )
    labelled = [(row, i) for i, row in enumerate(tickets(2_000))]
    right = [row for row, _ in labelled]
    wrong = mislabelled(right, 0.03)
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / "doctor-labels.jsonl"
    folder.write_text("\n".join(json.dumps(row) for row in wrong))
    check = next(
        one
        for one in doctor.check(read_dataset(folder), doctor.Given(schema=compile_schema(SCHEMA))).checks
        if one.verdict.name == "label_errors"
    )
    truly = {f"{folder}:{i + 1}" for i, (a, b) in enumerate(zip(right, wrong, strict=True)) if a != b}
    false = set(check.rows) - truly
    kinds.append(
        {
            "kind": "label_errors (of 2,000 tickets)",
            "planted": len(truly),
            "recall": round(len(set(check.rows) & truly) / len(truly), 4),
            "false": len(false),
            "false_share": round(len(false) / len(wrong), 5),
        }
    )
    return {"rows": len(dataset.rows), "seconds": round(seconds, 1), "kinds": kinds}
