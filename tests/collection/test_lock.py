import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firstfault.collection.lock import FILE, HomeLock
from firstfault.errors import LockedError

_HOLD = """
import sys
from pathlib import Path
from firstfault.collection.lock import HomeLock
lock = HomeLock(Path(sys.argv[1]), "default")
print("held", flush=True)
sys.stdin.read()
"""


def hold(home: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: "subprocess.Popen[str]", *, kill: bool) -> None:
    if kill:
        process.kill()
    process.communicate()


@pytest.mark.parametrize("kill", [False, True])
def test_a_second_process_is_told_who_has_the_home(tmp_path: Path, *, kill: bool) -> None:
    process = hold(tmp_path)
    with pytest.raises(
        LockedError, match=rf"in use by process {process.pid} \(`-c .*since \d{{4}}-"
    ) as caught:
        HomeLock(tmp_path, "default")
    assert "stop it" in caught.value.hint
    assert caught.value.exit_code == 3
    end(process, kill=kill)
    HomeLock(tmp_path, "default").release()  # however it ended


def test_collections_of_one_home_share_its_lock_within_a_process(tmp_path: Path) -> None:
    one, two = HomeLock(tmp_path, "one"), HomeLock(tmp_path, "two")
    with pytest.raises(LockedError, match="already open in this process"):
        HomeLock(tmp_path / ".", "one")
    one.release()
    assert json.loads((tmp_path / FILE).read_text())["pid"] == os.getpid()
    again = HomeLock(tmp_path, "one")
    again.release()
    two.release()
    end(hold(tmp_path), kill=False)  # now another process may have it


def test_an_owner_that_left_no_note_is_another_process(tmp_path: Path) -> None:
    process = hold(tmp_path)
    (tmp_path / FILE).write_text("")
    with pytest.raises(LockedError, match="in use by another process"):
        HomeLock(tmp_path, "default")
    end(process, kill=True)
