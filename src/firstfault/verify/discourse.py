"""A sentence of an answer in, what it does out: it states something, says that the sources are silent, or
frames.

"Based on the passages, the dog barked." states that the dog barked; "The passages do not mention cats." is
right when the passages hold nothing about cats; "Here are the steps:" states nothing that could be wrong.
"""

import re
from dataclasses import dataclass
from typing import Literal

Role = Literal["claim", "absence", "frame"]

_SOURCE = (
    r"(?:(?:the|these|this|your|all|any|both)\s+)?(?:(?:given|provided|above|following|supplied|retrieved|available)\s+)?"
    r"(?:passages?|contexts?|excerpts?|sources?|(?:given|provided)\s+(?:texts?|documents?|information|materials?)"
    r"|(?:texts?|documents?|information)\s+(?:provided|given|above))"
    r"(?:\s+#?\d+(?:(?:\s*,|\s+and|\s*,?\s+or|\s*&)\s+#?\d+)*)?(?:\s+(?:provided|given|above))?"
)
_SOURCE_NOUN = re.compile(r"passage|context|excerpt|source|text|document|information|material", re.IGNORECASE)
"""One of these is in whatever `_SOURCE` matches: without it the dear patterns need not be tried."""
_VERBS = (
    r"(?:states?|mentions?|says?|suggests?|indicates?|explains?|notes?|describes?|discuss(?:es)?|highlights?"
    r"|recommends?|advises?|provides?|emphasizes?|shows?|reports?|lists?)"
)
_MARKER = re.compile(r"^\s*(?:[-*•‣]\s+|\(?\d{1,3}[.)]\s+|#{1,6}\s+|step\s+\d+\s*[:.]\s*)+", re.IGNORECASE)
_OPENERS = (
    re.compile(
        r"^(?:additionally|furthermore|moreover|however|overall|in summary|in conclusion|to summarize"
        r"|therefore|thus|also"
        r"|finally|lastly|in addition|yes|no|sure|in short|note|(?:please )?note that|importantly"
        r"|(?:it is|it's) (?:also )?(?:important|worth) (?:to note|noting|to mention|mentioning) that)"
        r"\s*[,:]?\s+",
        re.IGNORECASE,
    ),
    re.compile(
        rf"^(?:based (?:solely |only )?(?:on|upon)|according to"
        rf"|as (?:stated|mentioned|described|noted|indicated|explained"
        rf"|discussed) (?:in|by)|as per|per|from)\s+{_SOURCE}\s*,?\s+",
        re.IGNORECASE,
    ),
    re.compile(rf"^{_SOURCE}\s+(?:also\s+|further\s+)?{_VERBS}\s+(?:that\s+)?", re.IGNORECASE),
    re.compile(
        r"^it (?:appears|seems|is (?:clear|evident|stated|mentioned|noted|suggested|recommended)) that\s+",
        re.IGNORECASE,
    ),
)
_OWN_OPENERS = (_OPENERS[0], _OPENERS[3])
"""Those that name no source."""
_ASIDES = re.compile(
    rf"\s*[(\[]\s*(?:(?:see|from|as per|according to)\s+)?{_SOURCE}\s*[)\]]"
    rf"|,?\s+(?:according to|as (?:stated|mentioned"
    rf"|described|noted|indicated|explained|discussed) in|based on)\s+{_SOURCE}(?=\s*[.,;!?]|$)",
    re.IGNORECASE,
)
_ABSENCE = re.compile(
    rf"{_SOURCE}\s+(?:do|does|did)(?:\s+not|n['’]t)\s+(?:\w+ly\s+)?(?:provide|mention|specify|contain|include|state"
    rf"|discuss|address|give|offer|explain|say|indicate|cover|describe|answer|detail|have)\b"
    rf"|(?:is|are|was|were)(?:\s+not|n['’]t)\s+(?:\w+ly\s+)?(?:mentioned|specified|provided|stated|given|discussed"
    rf"|addressed|covered|included|described|answered)\s+(?:in|by)\s+{_SOURCE}"
    rf"|\bno (?:\w+ )?(?:information|mention|answer)\b.*\b(?:in|from|by)\s+{_SOURCE}"
    rf"|{_SOURCE}\b.*\bit does(?:\s+not|n['’]t) (?:mention|say|specify|state)\b",
    re.IGNORECASE,
)
_UNABLE = re.compile(
    r"\b(?:unable|impossible|not possible|cannot|can['’]t)\s+(?:to\s+)?(?:be\s+)?"
    r"(?:provide an answer|answer|answered|determine from)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(rf"{_SOURCE}|\b(?:question|information)\b", re.IGNORECASE)
_SILENCE = re.compile(
    r"\b(?:unable|impossible|possible|answer\w*|question\w*|based|given|provided?|passages?|contexts?|sources?|texts?"
    r"|documents?|information|details?|mention\w*|specif\w+|explicit\w*|direct\w*|contain\w*|includ\w+|state[sd]?"
    r"|discuss\w*|address\w*|describ\w+|cover\w*|additional|further|enough|sufficient|relevant|therefore|however)\b",
    re.IGNORECASE,
)
_FRAME = re.compile(
    r"^(?=[^\n]{0,240}:\s*$)(?=.*\b(?:here|following|follows|below|steps?|answers?|summary|involved|include)\b).*$"
    r"|^(?:sure|certainly|of course|absolutely|great question|i hope"
    r"|i(?:'d|’d| would) be (?:happy|glad)|let me know"
    r"|feel free|happy to|i can)\b[^0-9]{0,90}\b(?:help\w*|assist\w*|answer\w*|questions?)\b[^0-9]{0,60}$"
    r"|^(?:#{1,6}\s+)?\**(?:answer|summary|conclusion|steps|instructions|overview)\**\s*:?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_FRAMING = re.compile(
    rf"{_SOURCE}|\b(?:based|according|here|following|follows|below|steps?|answers?|questions?|summary|involved|includ\w+"
    r"|sure|certainly|help\w*|assist\w*|happy|glad|hope|know|conclusion|instructions|overview)\b",
    re.IGNORECASE,
)
_FEWEST_WORDS = 3
"""An opener is only taken off when at least this many words remain."""


@dataclass(frozen=True, slots=True)
class Discourse:
    """What a sentence does and the part of it that can be held against a context."""

    role: Role
    core: str
    """A claim without its opener, asides and list marker; what an absence says is missing; the topic of a
    frame."""


def read_role(sentence: str) -> Discourse:
    """The role of a sentence in an answer. English only; any other sentence is a claim as it stands."""
    text = _MARKER.sub("", sentence).strip() or sentence
    if _FRAME.match(text):
        return Discourse("frame", " ".join(_FRAMING.sub(" ", text).split()))
    of_sources = _SOURCE_NOUN.search(text) is not None
    if (of_sources and _ABSENCE.search(text)) or (_UNABLE.search(text) and _ASKED.search(text)):
        rest = _SILENCE.sub(" ", _UNABLE.sub(" ", _ABSENCE.sub(_kept, text)))
        return Discourse("absence", " ".join(rest.split()))
    if of_sources:
        text = _shorter(text, _ASIDES.sub("", text))
    for _ in range(2):
        for opener in _OPENERS if of_sources else _OWN_OPENERS:
            text = _shorter(text, opener.sub("", text))
    return Discourse("claim", text)


def _kept(match: re.Match[str]) -> str:
    """What stays of an absence: words between the source and what it does not do are part of the topic."""
    return " ".join(re.sub(_SOURCE, " ", match[0], flags=re.IGNORECASE).split()[:-1])


def _shorter(text: str, cut: str) -> str:
    return cut if cut == text or len(cut.split()) >= _FEWEST_WORDS else text
