import sys
from pathlib import Path

from bench.verifier_edits import OPPOSITES, UNTAUGHT

TRAIN = Path(__file__).parents[2] / "train"


def test_no_pair_that_is_measured_with_was_taught() -> None:
    sys.path.insert(0, str(TRAIN))
    try:
        import lexicon  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(TRAIN))
    taught, wordnet = lexicon.table(lexicon.OPPOSITES, both_ways=True), lexicon.wordnet("opposite")
    assert len(UNTAUGHT) > 200
    for one, other in UNTAUGHT.items():
        assert other not in taught.get(one, [])
        assert one not in taught.get(other, [])
    for one, other in OPPOSITES.items():
        assert other not in wordnet.get(one, [])
