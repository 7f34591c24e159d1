"""What is seen of a long command where nobody looks at bars."""

import pytest

from firstfault.cli import progress


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("firstfault.cli.progress.time.monotonic", lambda: now)
    with progress.case_progress("evaluating") as update, progress.trial_progress() as tried:
        update(10, 1200)
        now += progress.SAID_EVERY_S
        update(40, 1200)
        update(41, 1200)
        tried("rag: answering", 3, 100)
        said = capsys.readouterr().err
    assert "evaluating: 40 of 1,200 cases" in said
    assert "rag: answering: 3 of 100" in said
    assert "10 of" not in said
    assert "41 of" not in said
