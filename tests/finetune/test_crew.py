"""Processes that start and end together: what failed first is named, and nobody is left behind."""

import os
import signal
import time

import pytest

from firstfault.errors import RankError
from firstfault.finetune import crew
from firstfault.finetune.crew import Crew, Desk


def work(desk: Desk, base: int) -> None:
    while (order := desk.order()) is not None:
        if order == "add":
            desk.tell(f"rank {desk.rank} adds")
            desk.answer(base + desk.rank)
        elif desk.rank == 1 and order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif desk.rank == 1:
            raise ZeroDivisionError("by nothing")
        else:  # it waited for the other one
            time.sleep(600 if order == "die" else 0.1)
            raise ConnectionError("closed by peer")


def gone(started: Crew) -> bool:
    return not any(os.path.exists(f"/proc/{pid}") for pid in started.pids)


def test_who_was_killed_or_failed_first_is_named_and_all_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "CALM_S", 0.5)
    two = [Crew(work, 2, base) for base in (10, 20)]
    heard: list[str] = []
    assert two[0].ask("add", heard.append) == [10, 11]
    assert sorted(heard) == ["rank 0 adds", "rank 1 adds"]
    with pytest.raises(RankError, match="Rank 1 of 2 was ended by SIGKILL; the others were ended"):
        two[0].ask("die")
    assert gone(two[0])
    with pytest.raises(RankError, match="Rank 1 of 2 failed: ZeroDivisionError: by nothing") as caught:
        two[1].ask("break")
    assert 'raise ZeroDivisionError("by nothing")' in str(caught.value.__cause__)
    assert gone(two[1])


def test_who_does_not_come_in_time_is_named() -> None:
    late = Crew(work, 1, 0)
    with pytest.raises(RankError, match=r"Rank 0 of 1 did not come in 0\.01 s"):
        late.ask("die", within=0.01)
    assert gone(late)
