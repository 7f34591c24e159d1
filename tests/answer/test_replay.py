from dataclasses import replace

import pytest

from firstfault.answer import Application
from firstfault.answer.replay import replay
from firstfault.errors import FirstfaultError


def test_what_failed_is_run_again_and_not_reused(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractive = application.settings.override({"generator.kind": "extractive"})

    def fail(*_: object, **__: object) -> None:
        raise FirstfaultError("the index broke", hint="mend it")

    with monkeypatch.context() as patch:
        patch.setattr(application.collection, "dense", fail)
        with pytest.raises(FirstfaultError, match="the index broke"):
            application.ask("How often is the pump inspected?", settings=extractive)
    application.traces.flush()
    (broken,) = application.traces.newest()
    assert broken.error == "the index broke mend it"
    assert broken.hits == ()
    after = application.replay(broken, {"answer.policy": "strip"})
    assert after.replayed_from == "index"
    assert after.hits
    assert after.answer is not None


def test_a_sound_trace_is_replayed_from_the_stage_that_changes(application: Application) -> None:
    extractive = application.settings.override({"generator.kind": "extractive"})
    before = application.ask("How often is the pump inspected?", settings=extractive)
    after = application.run(replay(application, before, {"answer.policy": "strip"}))
    assert after.replayed_from == "cite"
    assert after.context == before.context
    assert replace(after.hits[0]) == before.hits[0]
