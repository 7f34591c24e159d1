from pathlib import Path

import pytest

from firstfault.drill import records
from firstfault.errors import InputError


def test_kept_series_are_found_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_KEPT", 3)
    kept = [records.save(tmp_path, {"drills": [number]}) for number in range(5)]
    newest = records.newest(tmp_path)
    assert sorted(kept)[-3:] == sorted(one.id for one in newest)
    assert [one.id for one in newest] == sorted((one.id for one in newest), reverse=True)
    assert records.get(tmp_path, newest[0].id).document == newest[0].document
    assert newest[0].at.startswith("20")


@pytest.mark.parametrize("bad", ["none", "", "../keys", "a/b", "x" * 200])
def test_what_is_not_there_is_an_input_error(tmp_path: Path, bad: str) -> None:
    with pytest.raises(InputError):
        records.get(tmp_path, bad)


def test_a_home_without_drills_has_none(tmp_path: Path) -> None:
    assert records.newest(tmp_path) == []
