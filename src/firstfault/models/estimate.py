"""An estimate of tokens for models whose tokenizer only the endpoint knows."""

import re

_PIECE = re.compile(r"[A-Za-z]{1,4}|[0-9]{1,2}|[^\sA-Za-z0-9]|\n+|[ \t]{2,}")


def token_spans(text: str) -> list[tuple[int, int]]:
    """Character spans of what is counted as one token.

    Four letters, two digits, any other character, or a run of line breaks or blanks. Byte-pair
    tokenizers need fewer tokens than this for English prose and code, so that what fits
    by this count fits.
    """
    return [match.span() for match in _PIECE.finditer(text)]
