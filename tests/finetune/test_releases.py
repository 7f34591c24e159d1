from pathlib import Path

import pytest

from firstfault.collection.adapters import find_adapter
from firstfault.errors import InputError, MissingError, StorageError
from firstfault.finetune import Candidate, list_releases, open_release, publish, rollback
from firstfault.types import Verdict

PASSED = (Verdict(name="applied", status="ok"),)


def candidate(folder: Path, content: str, *verdicts: Verdict) -> Candidate:
    file = folder / f"{content}.gguf"
    file.write_text(content)
    return Candidate(gguf=file, base="m", base_digest="d", verdicts=verdicts or PASSED, card=f"# {content}")


def test_a_name_points_to_its_newest_release_until_it_is_rolled_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = publish(home, "tickets", candidate(tmp_path, "one"))
    second = publish(home, "tickets", candidate(tmp_path, "two"))
    assert (first.number, second.number) == (1, 2)
    assert second.gguf.read_text() == "two"
    assert (second.folder / "README.md").read_text() == "# two"
    found = find_adapter(home, "tickets")
    assert (found.digest, found.release, found.base_digest) == (second.digest, 2, "d")

    assert rollback(home, "tickets").number == 1
    assert find_adapter(home, "tickets").digest == first.digest
    assert [(one.number, one.current) for one in list_releases(home)] == [(2, False), (1, True)]
    with pytest.raises(InputError, match="there is none before it"):
        rollback(home, "tickets")
    assert publish(home, "tickets", candidate(tmp_path, "three")).number == 3
    assert open_release(home, "tickets").number == 3
    assert open_release(home, "tickets", 2).digest == second.digest


def test_what_failed_a_gate_or_saw_none_is_not_released(tmp_path: Path) -> None:
    home = tmp_path / "home"
    publish(home, "a", candidate(tmp_path, "good"))
    bad = candidate(tmp_path, "bad", Verdict(name="ability", status="fail"))
    with pytest.raises(InputError, match="Gates failed: ability"):
        publish(home, "a", bad)
    unseen = Candidate(gguf=bad.gguf, base="m", base_digest="", verdicts=())
    with pytest.raises(InputError, match="No gate was run"):
        publish(home, "a", unseen)
    assert open_release(home, "a").gguf.read_text() == "good"


def test_a_name_that_is_no_name_is_refused(tmp_path: Path) -> None:
    for name in ("", "../x", "a.gguf", "a b", "x" * 64):
        with pytest.raises(InputError, match="cannot name an adapter"):
            publish(tmp_path, name, candidate(tmp_path, "one"))


def test_an_adapter_that_is_not_there_or_was_changed_is_an_error(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(MissingError, match="No adapter 'a' has been released"):
        find_adapter(home, "a")
    with pytest.raises(MissingError, match="no adapter file"):
        find_adapter(home, "a.gguf")
    made = publish(home, "a", candidate(tmp_path, "one"))
    made.gguf.write_text("other")
    with pytest.raises(StorageError, match="is not the file that was released as a-1"):
        find_adapter(home, "a")
    made.gguf.unlink()
    with pytest.raises(MissingError, match="is gone"):
        find_adapter(home, "a")


def test_files_that_a_crash_left_do_not_stand_in_the_way(tmp_path: Path) -> None:
    home = tmp_path / "home"
    left = home / "finetune" / "releases" / "a-1"
    left.mkdir(parents=True)
    (left / "adapter.gguf").write_text("half")
    made = publish(home, "a", candidate(tmp_path, "whole"))
    assert (made.number, made.gguf.read_text()) == (1, "whole")
