import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstfault.errors import InputError
from firstfault.models import Message
from firstfault.models.generator import WHITESPACE_LIMIT, BlankRun, check_request


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(alphabet=" \n\tab", max_size=150)))
def test_blank_run_equals_looking_at_the_whole_text(pieces: list[str]) -> None:
    blanks = BlankRun()
    text = ""
    for piece in pieces:
        text += piece
        assert blanks.exceeded(piece) == (len(text) - len(text.rstrip()) > WHITESPACE_LIMIT)


def test_requests_that_nobody_can_answer_are_refused() -> None:
    with pytest.raises(InputError, match="no messages"):
        check_request([], 5)
    with pytest.raises(InputError, match="max_tokens is 0"):
        check_request([Message(role="user", content="hi")], 0)
