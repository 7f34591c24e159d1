"""A premise and a claim in, the network's judgement out: a logit for the claim and one for each of its words.

The network runs on one pair at a time. Its int8 arithmetic derives ranges from what it reads, so a pair's
score
would otherwise depend on which pairs stand beside it.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from firstfault.errors import MissingError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]
    from tokenizers import Tokenizer

WEIGHTS = Path(__file__).parent / "weights"
_MODEL, _TOKENIZER = "verifier.onnx", "tokenizer.json"
_CLS, _SEP = 101, 102
_MOST_PREMISE, _MOST_CLAIM = 360, 120
"""Tokens kept of one premise and one claim; callers cut both into pieces that stay well below."""
_WORDS_KEPT = 32768
"""Words whose tokens are remembered."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network says about one pair."""

    support: float
    """Logit that the premise supports the claim."""
    unsupported: tuple[float, ...]
    """Per token of the claim, the logit that it is what the premise does not support."""
    spans: tuple[tuple[int, int], ...]
    """Per token of the claim, its characters."""


class CrossEncoder:
    """The trained network, loaded on first use."""

    def __init__(self, folder: Path = WEIGHTS, *, threads: int = 1) -> None:
        self.folder, self.threads = folder, threads
        self._session: InferenceSession | None = None
        self._tokenizer: Tokenizer | None = None
        self._tokens_of = lru_cache(maxsize=_WORDS_KEPT)(self.tokens_of)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the weights; `none` when they are not there."""
        path = self.folder / _MODEL
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"

    def _load(self) -> tuple["InferenceSession", "Tokenizer"]:
        if self._session is None or self._tokenizer is None:
            for name in (_MODEL, _TOKENIZER):
                if not (self.folder / name).is_file():
                    raise MissingError(
                        f"The verifier's {name} is not in {self.folder}.",
                        hint="Reinstall firstfault; its wheel carries the file.",
                    )
            import onnxruntime
            from tokenizers import Tokenizer

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = self.threads
            options.inter_op_num_threads = 1
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(
                self.folder / _MODEL, options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(self.folder / _TOKENIZER))
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
        return self._session, self._tokenizer

    def read(self, premise: str, claim: str) -> Reading:
        """Judge one pair. Texts longer than the network's window are cut: callers split them before."""
        import numpy as np

        session, tokenizer = self._load()
        # No token reaches over a blank: words, most of them met before, are cut one by one.
        ahead = list(chain.from_iterable(map(self._tokens_of, _encodable(premise).split(" "))))
        own = tokenizer.encode(_encodable(claim), add_special_tokens=False)
        premise_ids = [_CLS, *ahead[:_MOST_PREMISE], _SEP]
        claim_ids = [_CLS, *own.ids[:_MOST_CLAIM], _SEP]
        feed = {"premise": np.array(premise_ids, np.int64), "claim": np.array(claim_ids, np.int64)}
        support, unsupported = session.run(["support", "unsupported"], feed)
        return Reading(
            float(support[0]), tuple(map(float, unsupported[1:-1])), tuple(own.offsets[:_MOST_CLAIM])
        )

    def tokens_of(self, word: str) -> tuple[int, ...]:
        """The tokens of a text, without `[CLS]` and `[SEP]`."""
        _, tokenizer = self._load()
        return tuple(tokenizer.encode(word, add_special_tokens=False).ids)


def _encodable(text: str) -> str:
    """The text with lone surrogates replaced by `?`, so that offsets stay what they were."""
    return text.encode("utf-8", "replace").decode("utf-8")
