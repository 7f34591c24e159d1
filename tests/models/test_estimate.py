from hypothesis import given, settings
from hypothesis import strategies as st

from firstfault.models import OnnxEmbedder
from firstfault.models.estimate import token_spans


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_spans_are_ordered_and_cover_everything_but_single_blanks(text: str) -> None:
    end = 0
    for start, stop in token_spans(text):
        assert end <= start < stop <= len(text)
        assert not text[end:start].strip()
        end = stop
    assert not text[end:].strip()


def test_it_errs_upwards(embedder: OnnxEmbedder) -> None:
    texts = [
        "The Panthers defense gave up just 308 points, ranking sixth in the league.",
        "def f(x: int) -> int:\n    return {'a': [1, 2, 3]}['a'][x] + 1024\n",
    ]
    for text in texts:
        assert len(embedder.token_offsets(text)) <= len(token_spans(text)) <= 3 * len(text.split()) + 30
