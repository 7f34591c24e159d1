import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstfault.trace import spool
from firstfault.trace.spool import Segment, take_over

LEAVE = """
import os, sys
from pathlib import Path
from firstfault.trace.spool import Segment
segment = Segment(Path(sys.argv[1]))
for record in sys.argv[2:]:
    segment.append(record.encode())
os.kill(os.getpid(), 9)
"""


def leave(folder: Path, *records: str) -> Path:
    """A file of a process that was killed."""
    subprocess.run([sys.executable, "-c", LEAVE, str(folder), *records], check=False)
    return next(iter(folder.glob("*.spool")))


def left_over(folder: Path) -> list[bytes]:
    """The records of processes that have ended, which are removed."""
    found: list[bytes] = []

    def keep(records: list[bytes]) -> bool:
        found.extend(records)
        return True

    assert take_over(folder, keep) == len(found)
    return found


def test_what_a_killed_process_appended_is_left_over_once(tmp_path: Path) -> None:
    leave(tmp_path, "one", "", "three")
    assert left_over(tmp_path) == [b"one", b"", b"three"]
    assert not list(tmp_path.iterdir())


def test_the_file_of_a_living_process_is_nobody_elses(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.append(b"mine")
    assert left_over(tmp_path) == []
    segment.settle(stored=1)
    segment.append(b"next")
    segment.settle(failed=1)
    segment.retire()
    assert left_over(tmp_path) == [b"next"]


def test_what_could_not_be_moved_in_stays(tmp_path: Path) -> None:
    leave(tmp_path, "one")
    assert take_over(tmp_path, lambda _: False) == 0

    def fail(records: list[bytes]) -> bool:
        raise ZeroDivisionError(len(records))

    with pytest.raises(ZeroDivisionError):
        take_over(tmp_path, fail)
    assert left_over(tmp_path) == [b"one"]


def test_an_empty_file_goes_with_its_owner(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.append(b"one")
    segment.settle(stored=1)
    segment.retire()
    assert not list(tmp_path.iterdir())


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_record_that_was_cut_off_is_left_out(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    written = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=4))
    segment = Segment(folder)
    for record in written:
        segment.append(record)
    segment.settle(failed=len(written))
    segment.retire()
    path = next(folder.iterdir())
    whole = path.read_bytes()
    kept = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:kept])
    ends = [sum(8 + len(record) for record in written[: n + 1]) for n in range(len(written))]
    assert left_over(folder) == written[: sum(end <= kept for end in ends)]


def test_a_damaged_record_is_kept_aside_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = leave(tmp_path, "one", "two", "three")
    content = bytearray(path.read_bytes())
    content[-len("three") - 8 - 1] ^= 1
    path.write_bytes(content)
    assert left_over(tmp_path) == [b"one"]
    assert [one.suffix for one in tmp_path.iterdir()] == [".damaged"]
    assert "byte 11" in caplog.text


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment(tmp_path)
    segment.append(b"one")
    write = os.write

    def half(file: int, content: bytes) -> int:
        return write(file, content[: len(content) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        segment.append(b"another one")
    monkeypatch.undo()
    segment.append(b"two")
    segment.settle(failed=2)
    segment.retire()
    assert left_over(tmp_path) == [b"one", b"two"]


def test_what_a_power_failure_left_as_zeros_is_no_record(tmp_path: Path) -> None:
    path = leave(tmp_path, "one")
    path.write_bytes(path.read_bytes() + bytes(64))
    assert left_over(tmp_path) == [b"one"]
    assert [one.suffix for one in tmp_path.iterdir()] == [".damaged"]


def test_a_damaged_file_that_could_not_be_moved_in_is_read_again(tmp_path: Path) -> None:
    path = leave(tmp_path, "one", "two")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert take_over(tmp_path, lambda _: False) == 0
    assert left_over(tmp_path) == [b"one"]


def test_a_retired_file_stays_until_its_last_record_is_stored(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.append(b"one")
    segment.append(b"two")
    segment.retire()
    segment.settle(stored=1)
    assert len(list(tmp_path.iterdir())) == 1
    segment.settle(stored=1)
    segment.retire()
    assert not list(tmp_path.iterdir())


def test_a_file_that_another_process_has_just_moved_in_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = leave(tmp_path, "one")
    lock = spool._locked

    def after_the_other(file: int) -> bool:
        path.unlink()
        return lock(file)

    monkeypatch.setattr(spool, "_locked", after_the_other)
    assert left_over(tmp_path) == []


def test_more_files_than_a_process_may_open_are_moved_in(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(300):
        (tmp_path / f"{number}.spool").touch()
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
    try:
        assert left_over(tmp_path) == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_opened_is_said_and_keeps_no_other_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "0.spool").mkdir()
    leave_in = Segment(tmp_path)
    leave_in.append(b"one")
    leave_in.settle(failed=1)
    leave_in.retire()
    assert left_over(tmp_path) == [b"one"]
    assert "0.spool cannot be moved into the database" in caplog.text


def test_a_disk_that_is_full_in_earnest_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        segment.append(b"1" * 60)
        with pytest.raises(OSError, match="No space"):
            segment.append(b"2" * 60)  # of which 32 bytes fit
        segment.append(b"3" * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    segment.settle(failed=2)
    segment.retire()
    assert left_over(tmp_path) == [b"1" * 60, b"3" * 20]
