from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from firstfault.verify.crossencoder import WEIGHTS, CrossEncoder

NETWORK = CrossEncoder()
TOKENIZER = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
TOKENIZER.no_padding()
TOKENIZER.no_truncation()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_cut_one_by_one_give_the_tokens_of_the_text(text: str) -> None:
    premise = " ".join(text.split())
    whole = TOKENIZER.encode(premise, add_special_tokens=False).ids
    assert [i for word in premise.split(" ") for i in NETWORK.tokens_of(word)] == whole


def test_a_premise_met_before_reads_as_at_first() -> None:
    premise, claim = "The dog barked at the mailman.", "A dog barked."
    assert NETWORK.read(premise, claim) == NETWORK.read(premise, claim) == CrossEncoder().read(premise, claim)
