"""Synthetic support tickets with the JSON that routes them: everything a training needs, and its defects."""

import json
import random
from typing import Any

SCHEMA = {
    "type": "object",
    "properties": {
        "team": {"enum": ["billing", "network", "hardware", "account"]},
        "device": {"type": "string"},
        "urgent": {"type": "boolean"},
    },
    "required": ["team", "device", "urgent"],
    "additionalProperties": False,
}

DEVICES = (
    "router laptop printer phone tablet camera monitor scanner headset keyboard server projector switch "
    "speaker charger modem"
).split()
PROBLEMS = {
    "billing": (
        "I was charged twice for the {d}",
        "the invoice for my {d} is wrong",
        "I want a refund for the {d} that I paid for",
        "the discount on the {d} is missing from the bill",
        "why does the price of the {d} on the invoice differ from the offer",
    ),
    "network": (
        "the {d} cannot connect to the wifi",
        "the {d} loses its connection all the time",
        "the {d} is very slow on our network",
        "the {d} says that there is no internet",
        "the {d} does not get an address from the network",
    ),
    "hardware": (
        "the screen of my {d} is broken",
        "the {d} does not turn on any more",
        "the {d} makes a strange noise and gets hot",
        "a button of the {d} fell off",
        "the {d} smells of burnt plastic",
    ),
    "account": (
        "I cannot log in on the {d}",
        "I forgot the password of my {d}",
        "please change the owner of the {d} in my profile",
        "my {d} is registered under the wrong name",
        "I want to delete the {d} from my account",
    ),
}
PLACES = (
    "in the office",
    "at home",
    "in the meeting room",
    "in our shop",
    "on the second floor",
    "in the warehouse",
    "at the reception",
    "in the lab",
)
SINCE = ("since Monday", "since the update", "for three days", "since last week", "after the move", "again")
HURRY = ("This is urgent!", "We cannot work at all.", "Please hurry.", "We need help right now.")
CALM = ("No hurry.", "Whenever you have time.", "It can wait.", "Thank you in advance.")
NAMES = "Ann Bob Cara Dan Eva Finn Gus Hana Ines Jon Kim Lou Mia Nils Olga Pia".split()


def ticket(number: int, seed: int = 0) -> dict[str, Any]:
    """One example as prompt and completion."""
    pick = random.Random(f"{seed} {number}")
    team = pick.choice(sorted(PROBLEMS))
    device = pick.choice(DEVICES)
    urgent = pick.random() < 0.5
    problem = pick.choice(PROBLEMS[team]).format(d=device)
    words = [problem, pick.choice(PLACES), pick.choice(SINCE)]
    text = f"{' '.join(words)}. {pick.choice(HURRY if urgent else CALM)} {pick.choice(NAMES)}"
    return {
        "prompt": f"Route this ticket: {text[0].upper()}{text[1:]}",
        "completion": json.dumps({"team": team, "device": device, "urgent": urgent}),
    }


def tickets(number: int, seed: int = 0, *, first: int = 0) -> list[dict[str, Any]]:
    """Different examples, none of them twice."""
    found: dict[str, dict[str, Any]] = {}
    i = first
    while len(found) < number:
        one = ticket(i, seed)
        found.setdefault(one["prompt"], one)
        i += 1
    return list(found.values())


def mislabelled(rows: list[dict[str, Any]], share: float, seed: int = 0) -> list[dict[str, Any]]:
    """The rows with so many wrong labels."""
    pick = random.Random(seed)
    wrong = set(pick.sample(range(len(rows)), round(share * len(rows))))
    made = []
    for i, row in enumerate(rows):
        value = json.loads(row["completion"])
        if i in wrong:
            value["team"] = pick.choice([team for team in sorted(PROBLEMS) if team != value["team"]])
            value["urgent"] = not value["urgent"]
        made.append({**row, "completion": json.dumps(value)})
    return made
