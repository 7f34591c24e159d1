from collections import Counter

from firstfault.drill import FAULTS, Fault, Outcome
from firstfault.drill.library import of_set
from firstfault.drill.outcome import HEALTHY, Named
from firstfault.drill.series import LADDER, half_detection, pairs_of
from firstfault.stages import ANY_STAGE_CAUSES


def test_pairs_are_of_two_stages_fit_one_scene_and_repeat_for_a_seed() -> None:
    faults = of_set("development")
    pairs = pairs_of(faults, 20, seed=1)
    assert len(pairs) == 20
    assert pairs == pairs_of(faults, 20, seed=1)
    assert pairs != pairs_of(faults, 20, seed=2)
    for first, second in pairs:
        assert first.stage != second.stage
        assert len({first.scene, second.scene} - {"plain"}) < 2
        assert first.cause not in ANY_STAGE_CAUSES
        assert second.cause not in ANY_STAGE_CAUSES
    used = Counter(fault.name for pair in pairs for fault in pair)
    assert max(used.values()) <= 4


class _Sensitive:
    """Detects from a severity on."""

    def __init__(self, least: float) -> None:
        self.least = least

    def drill(self, faults: list[Fault], *, severity: float, seed: int, count: int | None) -> Outcome:
        nothing = Named(stage=HEALTHY, cause=HEALTHY)
        named = Named(stage=faults[0].stage.value, cause=faults[0].cause)
        return Outcome(
            faults=(faults[0].name,),
            scene="plain",
            severity=severity,
            seed=seed,
            cases=count or 10,
            hurt=1,
            expected=(named,),
            found=named if severity >= self.least else nothing,
            listed=(),
            evidence="",
            next_command="",
            alerts=(),
            seconds_evaluate=0.0,
            seconds_diagnose=0.0,
            model_calls=0,
        )


def test_the_least_detected_severity_is_found_by_bisection() -> None:
    fault = FAULTS["flood"]
    for least in LADDER:
        found, trials = half_detection(_Sensitive(least), fault)  # type: ignore[arg-type]
        assert found == least
        assert len(trials) <= 4
    found, _ = half_detection(_Sensitive(2.0), fault)  # type: ignore[arg-type]
    assert found is None
