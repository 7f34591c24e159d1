"""Labelled claims that a word overlap can tell apart."""

import pytest

from firstfault.verify.recalibrate import Labelled

NAMES = ["Kuechly", "Manning", "Newton", "Miller", "Davis", "Olsen", "Ware", "Talib", "Norman", "Thomas"]
CONTEXT = " ".join(f"{name} played {i + 3} games for the team in Denver." for i, name in enumerate(NAMES))


@pytest.fixture
def labelled() -> list[Labelled]:
    true = [f"{name} played {i + 3} games for the team." for i, name in enumerate(NAMES)] * 2
    false = [f"{name} bought a farm in Norway in 1987." for name in NAMES] * 2
    return [
        Labelled(contexts=(CONTEXT,), claim=claim, label=label)
        for claims, label in ((true, 1), (false, 0))
        for claim in claims
    ]
