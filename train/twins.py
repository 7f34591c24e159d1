"""Word embeddings in, words of the same kind out: `doctor` -> `nurse`, never `doctors`."""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from tokenizers import Tokenizer
from torch import Tensor

from firstfault.verify.terms import STOPWORDS, rarity, stem


def neighbours(table: Tensor, tokenizer: Tokenizer) -> Callable[[str], Sequence[str]]:
    """A function from a word to up to ten words near it in the embedding table (V, H), itself and kin left
    out."""
    words = {
        word: i
        for word, i in tokenizer.get_vocab().items()
        if word.isalpha()
        and word.isascii()
        and len(word) > 3
        and word not in STOPWORDS
        and 0 < rarity(stem(word)) < 9
    }
    names = list(words)
    unit = torch.nn.functional.normalize(table[[words[n] for n in names]].float(), dim=-1)
    where = {n: i for i, n in enumerate(names)}

    @cache
    def near(word: str) -> Sequence[str]:
        i = where.get(word)
        if i is None:
            return ()
        scores, order = (unit @ unit[i]).topk(30)
        found = [
            names[j]
            for s, j in zip(scores.tolist(), order.tolist(), strict=True)
            if s < 0.75
            and names[j][:4] != word[:4]
            and names[j][-2:] == word[-2:]
            and stem(names[j]) != stem(word)
        ]
        return tuple(found[:10])

    return near
