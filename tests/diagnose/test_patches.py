"""Patches: relative values, limits, what would not change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.config import Settings
from firstfault.diagnose import patches
from firstfault.errors import ConfigError


def with_values(**changes: str) -> Settings:
    return Settings().override({name.replace("__", "."): value for name, value in changes.items()})


@pytest.mark.parametrize(
    ("wanted", "value"),
    [("x2", 6), ("+4", 7), ("-2", 1), ("-9", 1), ("x100", 100), ("default", 5), (8, 8)],
)
def test_a_value_is_relative_to_the_setting_in_force(wanted: str | int, value: int) -> None:
    assert patches.resolve({"search.top_k": wanted}, with_values(search__top_k="3")) == {
        "search.top_k": value
    }


def test_what_would_not_change_is_left_out() -> None:
    found = patches.resolve({"search.top_k": "default", "search.candidates": "x2"}, Settings())
    assert found == {"search.candidates": 100}
    assert patches.resolve({"search.dense_weight": "+0.2"}, with_values(search__dense_weight="1.0")) == {}


def test_a_missing_value_has_nothing_to_multiply() -> None:
    assert patches.resolve({"latency.generate_ms": "x2"}, Settings()) == {}


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"search.topk": 3}, "search.top_k"),
        ({"search.top_k": "x"}, "x2"),
        ({"search.top_k": 0}, "search.top_k"),
        ({"search.fusion": "mean"}, "search.fusion"),
        ({}, "changes nothing"),
    ],
)
def test_a_wrong_patch_is_refused(patch: dict[str, str | int], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        patches.check(patch)
    assert said in str(error.value)


def test_smaller_changes_come_first() -> None:
    settings = Settings()
    some = [
        {"chunking.max_tokens": 221},
        {"search.top_k": 20},
        {"search.top_k": 10, "search.candidates": 51},
        {"search.top_k": 10},
    ]
    ordered = sorted(some, key=lambda patch: patches.size(patch, settings))
    assert ordered == [{"search.top_k": 10}, {"search.top_k": 20}, some[2], some[0]]
    fewer = settings.override({"search.top_k": "1"})
    restored, nearer = ({"search.top_k": value} for value in (5, 2))
    assert patches.size(restored, fewer) < patches.size(nearer, fewer)
    assert patches.reindexes({"index.hnsw_m": 32})
    assert not patches.reindexes({"index.hnsw_ef": 32})


@given(st.floats(min_value=0.0, max_value=1.0), st.sampled_from(["x3", "+0.5", "-0.5", "x0"]))
def test_relative_values_stay_within_limits(weight: float, wanted: str) -> None:
    settings = with_values(search__dense_weight=str(weight))
    found = patches.resolve({"search.dense_weight": wanted}, settings)
    patches.patched(settings, found)
    assert 0.0 <= float(found.get("search.dense_weight", weight)) <= 1.0
