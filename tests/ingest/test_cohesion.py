import numpy as np
import pytest

from firstfault.ingest.cohesion import LexicalCohesion, WordVectorCohesion, depths
from firstfault.ingest.units import units_of
from firstfault.models import store
from firstfault.models.wordvectors import WordVectors

TOPICS = (
    "Cats purr when they are content. A kitten drinks milk. Feral cats hunt mice. "
    "Interest rates rose. Inflation fell in May. Bond yields rose again."
)


def test_similarity_dips_deepest_where_the_topic_changes() -> None:
    store.ensure("all-MiniLM-L6-v2")
    units = units_of(TOPICS)
    vectors = WordVectorCohesion(WordVectors.of("all-MiniLM-L6-v2")).vectors(TOPICS, units, None)
    assert vectors.shape == (6, 384)
    depth = depths(vectors, [8] * 6, window=24)
    assert int(depth.argmax()) == 3


def test_shared_words_show_the_topic_without_word_vectors() -> None:
    text = (
        "Every kitten sleeps on fresh straw. Fresh straw warms any kitten. No kitten leaves warm straw. "
        "Long bonds carry higher yields. Higher yields hurt long bonds. Investors sold bonds for yields."
    )
    depth = depths(LexicalCohesion().vectors(text, units_of(text), None), [7] * 6, window=21)
    assert int(depth.argmax()) == 3


def test_depths_are_shares_and_the_first_unit_has_none() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    depth = depths(vectors, [5] * 50, window=10)
    assert depth.shape == (50,)
    assert depth[0] == 0
    assert depth.min() >= 0
    assert depth.max() <= 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_units_have_no_dips(count: int) -> None:
    assert not depths(np.ones((count, 3), dtype=np.float32), [1] * count, window=5).any()


def test_units_that_are_all_alike_have_no_dips() -> None:
    assert not depths(np.ones((9, 3), dtype=np.float32), [4] * 9, window=8).any()
