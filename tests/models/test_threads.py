import threading
from pathlib import Path

import pytest

from firstfault.models import threads


def test_a_container_quota_limits_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(threads, "_CPU_MAX", quota)
    unlimited = threads.default_threads()
    assert unlimited >= 1
    for text, expected in (("max 100000", unlimited), ("50000 100000", 1), ("9999900000 100000", unlimited)):
        quota.write_text(text + "\n")
        assert threads.default_threads() == expected


def test_a_scheduler_may_say_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = threads.default_threads()
    for given, expected in (("1", 1), ("100000", cores), ("0", cores), ("many", cores)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert threads.default_threads() == expected


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_order(count: int) -> None:
    assert list(threads.run_ahead(lambda n: n * n, range(50), count)) == [n * n for n in range(50)]


def test_it_stays_near_its_caller_and_stops_with_it() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def work(n: int) -> int:
        with lock:
            begun.append(n)
        return n

    stream = threads.run_ahead(work, range(1000), 2)
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]
    assert len(begun) <= 10


def test_errors_reach_the_caller() -> None:
    def work(n: int) -> int:
        return 1 // (n - 5)

    with pytest.raises(ZeroDivisionError):
        list(threads.run_ahead(work, range(10), 2))
