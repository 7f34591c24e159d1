import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.drill.conftest import CASES

import firstfault
from firstfault.collection.snapshot import snapshot
from firstfault.config import Config, load
from firstfault.drill import FAULTS, Workshop
from firstfault.drill.outcome import Named
from firstfault.errors import InputError, MissingError


def _contents(home: Path) -> dict[str, str]:
    return {
        str(file.relative_to(home)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(home.rglob("*"))
        if file.is_file() and not file.name.endswith("-shm") and file.stat().st_size
    }


@pytest.mark.parametrize(
    "name", ["documents_removed", "wrong_filter", "missing_points", "old_revision", "always_abstains"]
)
def test_a_single_fault_is_named(name: str, workshop: Workshop) -> None:
    fault = FAULTS[name]
    outcome = workshop.drill([fault], seed=2)
    assert outcome.expected == (Named(stage=fault.stage.value, cause=fault.cause),)
    assert outcome.hurt > 0
    assert outcome.found == outcome.expected[0]
    assert outcome.cases == len(CASES)


def test_fix_is_tried_on_what_was_found(config: Config) -> None:
    with Workshop(config, CASES, repair=True) as workshop:
        assert workshop.drill([FAULTS["documents_removed"]]).repair == "no setting repairs it"
        assert workshop.control().repair is None


def test_nothing_broken_is_called_healthy(workshop: Workshop) -> None:
    outcome = workshop.control("plain", seed=1)
    assert not outcome.detected
    assert outcome.hurt == 0
    assert outcome.stage_named


def test_of_two_faults_the_earlier_comes_first(workshop: Workshop) -> None:
    outcome = workshop.drill([FAULTS["always_abstains"], FAULTS["documents_removed"]], seed=3)
    assert outcome.faults == ("documents_removed", "always_abstains")
    assert outcome.cause_named
    assert outcome.others_listed


def test_faults_that_need_different_applications_are_not_combined(workshop: Workshop) -> None:
    with pytest.raises(InputError, match="different applications"):
        workshop.drill([FAULTS["wrong_filter"], FAULTS["vectors_only"]])


def test_a_fault_that_cannot_be_placed_is_skipped_and_says_why(config: Config) -> None:
    with Workshop(config, [CASES[-1]]) as workshop:
        outcome = workshop.drill([FAULTS["documents_removed"]])
    assert "No case quotes its evidence" in outcome.skipped


def test_a_home_that_is_in_use_is_drilled_and_not_changed(live: Path, config: Config) -> None:
    with firstfault.open(live, settings={"generator.kind": "extractive"}) as app:
        assert app.search("How long is the bridge over the Aller?")
        before = _contents(live)
        with Workshop(config, CASES) as workshop:
            assert workshop.drill([FAULTS["documents_removed"]]).hurt
        assert _contents(live) == before
        assert app.search("How long is the bridge over the Aller?")
    assert _documents(live) == 8


def test_killing_a_drill_leaves_the_home_untouched(live: Path, tmp_path: Path) -> None:
    before = _contents(live)
    script = tmp_path / "drill.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom tests.drill.conftest import CASES\n"
        "from firstfault.config import load\nfrom firstfault.drill import FAULTS, Workshop\n"
        "config = load(Path(sys.argv[1]), environment={}, overrides={'generator.kind': 'extractive'})\n"
        "with Workshop(config, CASES) as workshop:\n"
        "    while True:\n"
        "        workshop.drill([FAULTS['documents_removed']])\n"
        "        print('drilled', flush=True)\n",
        encoding="utf-8",
    )
    place = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join([*sys.path, os.getcwd()])}
    with subprocess.Popen(
        [sys.executable, str(script), str(live)], stdout=subprocess.PIPE, env=place
    ) as drill:
        assert drill.stdout is not None
        assert drill.stdout.readline() == b"drilled\n"
        time.sleep(0.05)  # somewhere in the next one
        os.kill(drill.pid, signal.SIGKILL)
    after = _contents(live)
    assert {name for name in before.keys() | after if before.get(name) != after.get(name)} <= {"lock"}
    assert _documents(live) == 8
    assert list(tmp_path.glob("firstfault-drill-*"))  # what was killed could not tidy up


def _documents(home: Path) -> int:
    with firstfault.open(home, settings={"generator.kind": "extractive"}) as app:
        return app.collection.info().documents


def test_a_home_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nothing at"):
        snapshot(tmp_path / "none", tmp_path / "copy")
    with (
        pytest.raises(MissingError),
        Workshop(load(tmp_path / "none", environment={}), CASES),
    ):
        pass
    with pytest.raises(InputError, match="no cases"):
        Workshop(load(tmp_path / "none", environment={}), [])
