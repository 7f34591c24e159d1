import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.errors import InputError, MissingError
from firstfault.verify.calibration import Calibration, RawScore, Shape, fit, load, quality, save


def test_fit_recovers_the_curve() -> None:
    rng = np.random.default_rng(3)
    raw = rng.normal(5, 4, 4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-(0.6 * raw - 2)))).astype(int)
    found = fit(raw.tolist(), labels.tolist(), fitted_on="synthetic")
    assert found.slope == pytest.approx(0.6, abs=0.06)
    assert found.intercept == pytest.approx(-2, abs=0.3)
    assert quality(found, raw.tolist(), labels.tolist()).ece < 0.03


def test_the_shipped_one_is_sound() -> None:
    shipped = load()
    assert shipped.slope > 0
    assert 0 < shipped.lower < shipped.upper < 1


@given(st.floats(allow_nan=False))
def test_probabilities_are_never_nan_and_never_certain(raw: float) -> None:
    p = Calibration(slope=0.7, intercept=-1).probability(raw)
    assert 0 < p < 1


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_the_order_is_kept(a: float, b: float) -> None:
    calibration = Calibration(slope=0.7, intercept=-1)
    if a < b:
        assert calibration.probability(a) <= calibration.probability(b)


def test_labels_against_the_score_never_turn_it_round() -> None:
    raw = [float(i) for i in range(40)]
    assert fit(raw, [int(i < 20) for i in range(40)], fitted_on="x").slope > 0


@pytest.mark.parametrize("labels", [[1] * 30, [0] * 30, [0, 1] * 5])
def test_too_little_is_refused(labels: list[int]) -> None:
    with pytest.raises(InputError):
        fit([float(i) for i in range(len(labels))], labels, fitted_on="x")


def test_separable_labels_stay_finite() -> None:
    found = fit([float(i) for i in range(40)], [int(i >= 20) for i in range(40)], fitted_on="x")
    assert math.isfinite(found.slope)
    assert math.isfinite(found.intercept)


def test_quality_of_known_probabilities() -> None:
    flat = Calibration(slope=1, intercept=0)
    found = quality(flat, [0.0] * 10, [1] * 7 + [0] * 3)
    assert found.ece == pytest.approx(0.2)
    assert found.uncertain == 1
    assert quality(flat, [0.0] * 5, [1] * 5).balanced_accuracy is None


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "calibration.json"
    made = Calibration(slope=0.5, intercept=1, fitted_on="mine")
    save(made, path)
    assert load(path) == made
    with pytest.raises(MissingError):
        load(tmp_path / "none.json")
    for bad in ("{", '{"slope": 1}', '{"slope": -1, "intercept": 0}', '{"slope": 1, "intercept": NaN}'):
        path.write_text(bad)
        with pytest.raises(InputError):
            load(path)


@given(st.floats(-50, 50), st.floats(-50, 50), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_among_pairs_of_one_shape_the_order_is_kept(a: float, b: float, n: int, m: int, broken: bool) -> None:
    calibration = load()
    shape = Shape(sentences=n, passages=m, broken=broken)
    low, high = (calibration.level(RawScore(value=value, shape=shape)) for value in sorted((a, b)))
    assert low <= high


def test_a_single_sentence_over_whole_contexts_keeps_its_score() -> None:
    plain = Calibration(slope=1, intercept=0, answer=2, broken_slope=0.5, broken_shift=1)
    assert plain.level(RawScore(value=3.0, shape=Shape())) == 3
    assert plain.level(RawScore(value=3.0, shape=Shape(sentences=2))) == 3
    assert plain.level(RawScore(value=3.0, shape=Shape(sentences=2, passages=2))) == 5
    assert plain.level(RawScore(value=3.0, shape=Shape(broken=True))) == 2.5
