import pytest

from firstfault.stages import Stage
from firstfault.trace.record import Recording, new_trace_id


def test_stages_are_recorded_in_order_with_notes_and_events() -> None:
    recording = Recording()
    with recording.stage(Stage.INDEX) as span:
        span.note(dense=50)
        span.event("stale_candidates", dropped=1)
    with recording.stage(Stage.FUSE):
        pass
    first, second = recording.spans()
    assert (first.stage, second.stage) == ("index", "fuse")
    assert first.attributes == {"dense": 50}
    assert first.events[0].name == "stale_candidates"
    assert second.start_ms >= first.start_ms + first.duration_ms - 0.01


def test_a_failing_stage_is_kept_and_the_error_goes_on() -> None:
    recording = Recording()
    with pytest.raises(ZeroDivisionError), recording.stage(Stage.PACK):
        _ = 1 / 0
    assert recording.spans()[0].status == "error"


def test_only_the_first_token_counts() -> None:
    recording = Recording()
    recording.first_token()
    first = recording.time_to_first_token_ms
    recording.first_token()
    assert recording.time_to_first_token_ms == first


def test_ids_are_different_and_sort_by_time() -> None:
    ids = [new_trace_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [one[:18] for one in ids] == sorted(one[:18] for one in ids)
