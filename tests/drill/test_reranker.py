from pathlib import Path

import pytest

from firstfault.drill.reranker import work_for, write_reranker
from firstfault.models import store
from firstfault.models.cross_encoder import CrossEncoder

QUESTION = "how high is the radio tower"
TEXTS = ["the radio tower is high", "a tower", "apples and pears in autumn"]


@pytest.fixture(autouse=True)
def _model() -> None:
    store.pull()


def test_swapped_labels_prefer_what_is_not_asked_for(tmp_path: Path) -> None:
    scores = CrossEncoder(write_reranker(tmp_path, "swapped_labels")).scores(QUESTION, TEXTS)
    assert scores[0] < scores[1] < scores[2]


def test_the_slow_one_is_right(tmp_path: Path) -> None:
    scores = CrossEncoder(write_reranker(tmp_path, "slow", work=2)).scores(QUESTION, TEXTS)
    assert scores[0] > scores[1] > scores[2]


def test_the_work_grows_with_the_time_wanted(tmp_path: Path) -> None:
    assert 1 <= work_for(1e-6, tmp_path) < work_for(10.0, tmp_path)


def test_the_untrained_one_ignores_the_question(tmp_path: Path) -> None:
    encoder = CrossEncoder(write_reranker(tmp_path, "untrained"))
    scores = encoder.scores(QUESTION, TEXTS)
    assert len({round(float(one), 4) for one in scores}) == 3
    assert abs(scores).max() <= 1
