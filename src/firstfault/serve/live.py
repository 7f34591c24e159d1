"""An answer as it is written: pieces of the model's text in, text that will stand in the answer out.

What was sent is a prefix of the final answer at every moment. The words of a sentence go out as they come;
what could still be half a citation mark, and the final punctuation, are held back until the sentence has
ended and is verified: then its corrected marks, its verdict and its citations follow.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from firstfault.answer.cite import Checked, Policy, check, compose
from firstfault.answer.documents import citation_document, sentence_document
from firstfault.stages import Stage
from firstfault.trace import OpenSpan, Recording
from firstfault.types import Answer, Context
from firstfault.verify import Verifier, split_claims

Emit = Callable[[str, dict[str, Any]], None]
"""Called with the kind of an event and its content: `context`, `text`, `sentence`, `citation`,
`replace`."""

_MARK = re.compile(r"\s*\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\]")
_HALF_MARK = re.compile(r"\s*\[[\d,; ]{0,12}$")
_ABSTAINING = ("source", "sources", "passage", "passages", "document", "documents", "context")
_WORD = re.compile(r"\w")
_ENDS = ".!?:;"


class Live:
    """Follows one answer. Called on the answering thread; `emit` must be safe to call from there."""

    def __init__(self, policy: Policy, emit: Emit, *, structured: bool = False) -> None:
        self._policy = policy
        self._emit = emit
        self._silent = structured
        """JSON is sent when it is known to be valid, never before."""
        self._context: Context | None = None
        self._verifier: Verifier | None = None
        self._raw = ""
        self._verified = 0
        self.sent = ""
        """Everything that was sent."""
        self._sentences = 0
        self._citations = 0

    def packed(self, context: Context, verifier: Verifier) -> None:
        """What the answer will be checked against."""
        self._context, self._verifier = context, verifier
        passages = [
            {
                "number": passage.number,
                "document_id": passage.chunk.document_id,
                "document_title": passage.chunk.document_title,
                "chunk_id": passage.chunk.id,
            }
            for passage in context.passages
        ]
        self._emit("context", {"passages": passages})

    def wrote(self, piece: str) -> None:
        """Take a piece of the model's text."""
        self._raw += piece
        if self._silent or self._policy == "abstain" or self._context is None:
            return
        spans = split_claims(self._raw)
        if not spans:
            return
        ended = len(spans) - 1
        begun = _HALF_MARK.sub("", _MARK.sub("", self._raw[spans[-1][0] :]))
        if ended and not _WORD.search(begun):
            return  # marks after stops alone belong to the sentence before
        finished = self._raw[: spans[ended - 1][1]] if ended else ""
        checked = self._check(finished)
        if ended > self._verified:
            self._verified = ended
            answer = compose(finished, checked, policy=self._policy)
            if not answer.abstained:
                self._tell(answer)
        if self._policy == "annotate":
            self._draft(checked, finished, spans[:ended], spans[ended][0])

    def finish(self, answer: Answer) -> None:
        """Send what is missing of the final answer."""
        self._tell(answer)

    def _check(self, finished: str) -> list[Checked]:
        """The sentences that have ended; the verifier remembers those that it has seen."""
        if not finished:
            return []
        assert self._context is not None
        assert self._verifier is not None
        silent = OpenSpan(Recording(), Stage.CITE)
        return check(finished, self._context, verifier=self._verifier, span=silent)

    def _draft(
        self, checked: list[Checked], finished: str, before: Sequence[tuple[int, int]], start: int
    ) -> None:
        """Send the words of the sentence that begins at `start`, as far as they are sure to stay."""
        body = _HALF_MARK.sub("", _MARK.sub("", self._raw[start:])).rstrip()
        opened = body.rfind("[")
        if opened >= 0 and "]" not in body[opened:]:
            body = body[:opened]
        body = body.strip().rstrip(_ENDS).rstrip()
        earlier = [_MARK.sub("", self._raw[a:b]).strip().casefold() for a, b in before]
        if (
            not _WORD.search(body)
            or _may_abstain(body)
            or any(one.startswith(body.casefold()) for one in earlier)
        ):
            return
        if checked:
            between = self._raw[checked[-1].end : start]
            gap = "\n" * min(between.count("\n"), 2) if "\n" in between else " "
            body = compose(finished, checked, policy="annotate").text + gap + body
        if body.startswith(self.sent):
            self._advance(body)

    def _tell(self, answer: Answer) -> None:
        """Send the text, citations and sentences that are new in an answer."""
        self._advance(answer.text)
        for citation in answer.citations[self._citations :]:
            self._emit("citation", citation_document(citation))
        self._citations = max(self._citations, len(answer.citations))
        for claim in answer.claims[self._sentences :]:
            place = {"start": claim.start, "end": claim.end}
            self._emit("sentence", sentence_document(claim) | place)
        self._sentences = max(self._sentences, len(answer.claims))

    def _advance(self, text: str) -> None:
        if text.startswith(self.sent):
            if len(text) > len(self.sent):
                self._emit("text", {"text": text[len(self.sent) :]})
        else:
            self._emit("replace", {"text": text})
        self.sent = text


def _may_abstain(body: str) -> bool:
    """Whether a sentence that begins like this may say that the sources are silent: it is then left out."""
    words = body.casefold().split()
    if words[0] == "the":
        words = words[1:]
    elif len(words) == 1 and "the".startswith(words[0]):
        return True
    if not words:
        return True
    if len(words) == 1:
        return any(noun.startswith(words[0]) for noun in _ABSTAINING)
    return words[0] in _ABSTAINING and words[1].startswith("do"[: len(words[1])])
