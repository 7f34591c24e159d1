from dataclasses import replace
from typing import Any

from tests.finetune.records import points

from firstfault.finetune.guards import Alarm, best, gradient, judge, restored_point


def alarms(*losses: tuple[float, float], **options: Any) -> list[Alarm]:
    made = [restored_point(one) for one in points(*losses, abilities=options.pop("abilities", ()))]
    return judge(made, patience=options.pop("patience", 3))


def test_progress_raises_no_alarm() -> None:
    assert alarms((2.0, 2.0), (1.0, 1.1), (0.5, 0.7)) == []


def test_validation_loss_at_three_times_the_training_loss_and_rising_stops() -> None:
    (alarm,) = alarms((2.0, 2.0), (0.8, 1.2), (0.3, 1.4))
    assert (alarm.verdict.name, alarm.verdict.status, alarm.stops) == ("overfitting", "fail", True)
    assert alarms((2.0, 2.0), (0.1, 0.3)) == []  # still the best: nothing is lost yet
    assert alarms((2.0, 2.0), (0.001, 0.01), (0.0001, 0.012)) == []  # both are next to nothing


def test_samples_that_lose_their_form_are_a_warning_that_stops_nothing() -> None:
    made = [restored_point(one) for one in points((2.0, 2.0), (1.0, 1.1), (0.8, 1.0), (0.7, 0.9))]
    shares = (0.0, 1.0, 2 / 3, 1 / 3)
    shown = [replace(point, valid_share=share) for point, share in zip(made, shares, strict=True)]
    assert [judge(shown[:n], patience=3) for n in (2, 3)] == [[], []]
    (alarm,) = judge(shown, patience=3)
    assert (alarm.verdict.name, alarm.verdict.status, alarm.stops) == ("valid_samples", "warn", False)
    assert alarm.verdict.reason == "33 % of sampled outputs are valid, and 100 % were"


def test_patience_ends_without_blame() -> None:
    (alarm,) = alarms((2.0, 2.0), (1.0, 1.0), (0.9, 1.01), (0.9, 1.01), (0.9, 1.01))
    assert (alarm.verdict.name, alarm.verdict.status) == ("patience", "ok")
    lowest = best([restored_point(one) for one in points((2.0, 2.0), (1.0, 1.0), (0.9, 1.0))])
    assert lowest is not None
    assert lowest.step == 10


def test_a_loss_that_is_no_number_stops() -> None:
    (alarm,) = alarms((2.0, 2.0), (float("nan"), 1.0))
    assert (alarm.verdict.name, alarm.verdict.measured) == ("finite_loss", None)


def test_a_lost_ability_stops_and_scatter_does_not() -> None:
    (alarm,) = alarms((2.0, 2.0), (1.0, 1.0), abilities=(0.4, 0.1))
    assert alarm.verdict.name == "ability:arithmetic"
    assert alarms((2.0, 2.0), (1.0, 1.0), abilities=(0.3, 0.2)) == []


def test_a_gradient_far_beyond_the_usual_is_told() -> None:
    assert gradient(20, 5.0, [1.0] * 19) is None
    assert gradient(3, 500.0, [1.0] * 2) is None
    alarm = gradient(20, 50.0, [1.0] * 19)
    assert alarm is not None
    assert (alarm.verdict.status, alarm.stops) == ("warn", False)
