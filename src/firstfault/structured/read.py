"""Reading what a model wrote where JSON was asked for: text in, values and what is wrong with them out.

Plain JSON is decided by the standard library. Everything else goes through a tolerant reader that names each
liberty it takes; a liberty that could change what the text says makes the value doubtful.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from firstfault.structured.pointer import pointer
from firstfault.types import FormatProblem

DEEPEST = 100
"""Levels of nesting that are read."""

LONGEST = 1_000_000
"""Characters that are read."""

MOST_STARTS = 64
"""Places in a text at which a value is looked for."""

SAYS: dict[str, str] = {
    "invalid_json": "it is no JSON",
    "truncated_output": "the text ends before its value does",
    "endless_whitespace": "the text went over into nothing but blanks",
    "empty_output": "nothing was written",
    "text_around": "there is other text around the value",
    "blank_characters": "there are blanks around it that JSON does not know",
    "code_fence": "the value stands in a code fence",
    "trailing_comma": "a comma stands before a closing bracket",
    "missing_comma": "a comma is missing between two values",
    "comment": "there is a comment in the value",
    "quotes": "a text does not stand in straight double quotes",
    "unquoted_key": "a key does not stand in quotes",
    "literal": "true, false or null is written in another language",
    "number_syntax": "a number is not written as in JSON",
    "number_out_of_range": "a number is no finite double",
    "control_character": "a text holds an unescaped control character",
    "invalid_escape": "a backslash escapes nothing that JSON knows",
    "invalid_unicode": "a text holds half a surrogate pair",
    "duplicate_key": "a key comes twice",
    "conflicting_key": "a key comes twice with different values",
    "depth": f"it is nested more than {DEEPEST} levels deep",
    "too_long": f"it is longer than {LONGEST:,} characters",
}
"""What can be wrong with a text, in words."""

DOUBTFUL = frozenset({"number_out_of_range", "invalid_unicode", "conflicting_key"})
"""What cannot be mended without deciding what the text says."""

_LITERALS: dict[str, tuple[Any, bool]] = {
    "true": (True, True),
    "false": (False, True),
    "null": (None, True),
    "True": (True, False),
    "False": (False, False),
    "None": (None, False),
}
"""Word → value, and whether JSON writes it so."""

_CLOSING = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’", "`": "`"}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BLANK = re.compile(r"[ \t\r\n\ufeff\u00a0\u200b]*")
_COMMENT = re.compile(r"//[^\n]*|#[^\n]*|/\*.*?\*/", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_STRICT_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z_$][\w$-]*")
_FENCE = re.compile(r"(?:```|~~~)[ \t]*([\w+-]*)[ \t]*\n(.*?)(?:\n[ \t]*(?:```|~~~)|\Z)", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value found in a text."""

    value: Any
    problems: tuple[FormatProblem, ...]
    """What keeps the text from being plain JSON; empty = it is."""
    whole: bool
    """Whether a complete value was read. Without one `value` is None."""

    @property
    def doubtful(self) -> bool:
        """Whether what was wrong leaves open what the text says."""
        return not self.whole or any(problem.rule in DOUBTFUL for problem in self.problems)


def read(text: str) -> tuple[Reading, ...]:
    """The values that a text can be read as, longest first; one without a value says why there is none."""
    if len(text) > LONGEST:
        return (_nothing("too_long"),)
    plain = _plain(text)
    if plain is not None:
        return (plain,)
    if not text.strip():
        return (_nothing("empty_output"),)
    return _tolerant(text)


def problem(rule: str, path: str = "", *, saw: str = "") -> FormatProblem:
    """A problem in the words of `SAYS`, with what was seen."""
    return FormatProblem(rule=rule, path=path, message=f"{SAYS[rule]}{f': {saw}' if saw else ''}")


def without_value(text: str) -> Reading:
    """A text that holds no value: what looked like one stands in its prose."""
    return _nothing("invalid_json", _quoted(text))


def _nothing(rule: str, saw: str = "") -> Reading:
    return Reading(value=None, problems=(problem(rule, saw=saw),), whole=False)


def _plain(text: str) -> Reading | None:
    """The value of a text that is plain JSON in every respect; None when it is not."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_whole_number,
        )
    except (ValueError, RecursionError):
        return None
    if "\\u" in text and _has_surrogate(value):
        return None
    return None if _too_deep(text) else Reading(value=value, problems=(), whole=True)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key comes twice")
    return made


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(digits)
    return value


def _whole_number(digits: str) -> int:
    if len(digits) > 309:
        raise ValueError(digits)
    return int(digits)


def _has_surrogate(value: Any) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and _SURROGATE.search(one):
            return True
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
    return False


def _too_deep(text: str) -> bool:
    """Whether brackets outside of strings nest deeper than is read."""
    if text.count("{") + text.count("[") <= DEEPEST:
        return False
    level = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        level += mark in "[{"
        level -= mark in "]}"
        if level > DEEPEST:
            return True
    return False


def _tolerant(text: str) -> tuple[Reading, ...]:
    """Every value in the text: in its code fences when there are any, else wherever a bracket opens."""
    found: list[tuple[int, Reading]] = []
    for fence in _FENCE.finditer(text):
        outside = (text[: fence.start()] + text[fence.end() :]).strip()
        liberties = (problem("code_fence"),) + ((problem("text_around"),) if outside else ())
        found += [(end - start, _with(liberties, one)) for start, end, one in _values(fence[2])]
    if not any(one.whole for _, one in found):
        found = []
        for start, end, one in _values(text):
            around = (text[:start] + text[end:]).strip(" \t\r\n\ufeff") if one.whole else ""
            found.append((end - start, _with((problem("text_around"),) if around else (), one)))
    whole = sorted(((n, one) for n, one in found if one.whole), key=lambda pair: -pair[0])
    broken = [one for _, one in found if not one.whole]
    if broken and any(one.problems[-1].rule == "truncated_output" for one in broken):
        return tuple(broken[:1])  # a value that was cut off is not replaced by a smaller one beside it
    strict = (problem("blank_characters"),)
    found_whole = tuple(one if one.problems else _with(strict, one) for _, one in whole)
    return found_whole or tuple(broken[:1]) or (_nothing("invalid_json", _quoted(text)),)


def _with(liberties: tuple[FormatProblem, ...], one: Reading) -> Reading:
    return Reading(value=one.value, problems=liberties + one.problems, whole=one.whole)


def _quoted(text: str) -> str:
    words = " ".join(text.split())
    return repr(words if len(words) <= 60 else f"{words[:40]} … {words[-15:]}")


def _values(text: str) -> list[tuple[int, int, Reading]]:
    """Start, end and reading of each object or list in a text, or of the one scalar that it is."""
    found: list[tuple[int, int, Reading]] = []
    position = starts = 0
    while starts < MOST_STARTS:
        opening = re.compile(r"[{\[]").search(text, position)
        if opening is None:
            break
        starts += 1
        start = opening.start()
        reader = _Reader(text)
        try:
            value, end = reader.value(start, ())
        except _UnreadableError as error:
            reason = problem(error.rule, pointer(error.path), saw=error.saw)
            one = Reading(value=None, problems=(*reader.problems, reason), whole=False)
            if reader.members or error.rule == "truncated_output":
                found.append((start, len(text), one))
                break  # what stands inside a value that is broken is not the value
            position = start + 1
            continue
        found.append((start, end, Reading(value=value, problems=tuple(reader.problems), whole=True)))
        position = end
    if not starts:
        reader = _Reader(text)
        start = reader.skip(0)
        try:
            value, end = reader.value(start, ())
        except _UnreadableError as error:
            rule = error.rule if text[start : start + 1] in _CLOSING else "invalid_json"
            return [(0, len(text), _nothing(rule, _quoted(text)))]
        if reader.skip(end) == len(text):
            found.append((start, end, Reading(value=value, problems=tuple(reader.problems), whole=True)))
    return found


class _UnreadableError(Exception):
    """The text cannot be read on."""

    def __init__(self, rule: str, path: tuple[str | int, ...], saw: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.path = path
        self.saw = saw


class _Reader:
    """Recursive descent over one text; every liberty taken is noted once a place."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[FormatProblem] = []
        self.members = 0
        """Members of objects and lists that were begun: with none, a bracket may belong to prose."""

    def note(self, rule: str, path: tuple[str | int, ...], saw: str = "") -> None:
        if len(self.problems) < 50:
            self.problems.append(problem(rule, pointer(path), saw=saw))

    def fail(self, position: int, path: tuple[str | int, ...]) -> NoReturn:
        if position >= len(self.text):
            raise _UnreadableError("truncated_output", path, "")
        raise _UnreadableError("invalid_json", path, _quoted(self.text[position : position + 40]))

    def skip(self, position: int, path: tuple[str | int, ...] = ()) -> int:
        """The position after blanks and comments."""
        while True:
            blank = _BLANK.match(self.text, position)
            assert blank is not None
            position = blank.end()
            comment = _COMMENT.match(self.text, position)
            if comment is None:
                return position
            self.note("comment", path, _quoted(comment[0]))
            position = comment.end()

    def value(self, position: int, path: tuple[str | int, ...]) -> tuple[Any, int]:
        if len(path) > DEEPEST:
            self.members += 1
            raise _UnreadableError("depth", path[:3], "")
        if position >= len(self.text):
            self.fail(position, path)
        opening = self.text[position]
        if opening == "{":
            return self._object(position, path)
        if opening == "[":
            return self._list(position, path)
        if opening in _CLOSING:
            return self._string(position, path)
        word = _WORD.match(self.text, position)
        return self._number(position, path) if word is None else self._word(word, path)

    def _word(self, word: re.Match[str], path: tuple[str | int, ...]) -> tuple[Any, int]:
        if word[0] in {"NaN", "Infinity"}:
            self.note("number_out_of_range", path, word[0])
            return None, word.end()
        if word[0] not in _LITERALS:
            self.fail(len(self.text) if self._may_go_on(word) else word.start(), path)
        value, plain = _LITERALS[word[0]]
        if not plain:
            self.note("literal", path, word[0])
        return value, word.end()

    def _may_go_on(self, word: re.Match[str]) -> bool:
        """Whether the text ends within what may become a literal."""
        return word.end() == len(self.text) and any(literal.startswith(word[0]) for literal in _LITERALS)

    def _number(self, position: int, path: tuple[str | int, ...]) -> tuple[Any, int]:
        found = _NUMBER.match(self.text, position)
        if found is None:
            if self.text.startswith("-Infinity", position):
                self.note("number_out_of_range", path, "-Infinity")
                return None, position + len("-Infinity")
            at_end = self.text[position:] in {"-", "+", "."}
            self.fail(len(self.text) if at_end else position, path)
        digits = found[0]
        if found.end() < len(self.text) and (
            self.text[found.end()].isalnum() or self.text[found.end()] == "_"
        ):
            self.fail(position, path)
        if _STRICT_NUMBER.fullmatch(digits) is None:
            if re.match(r"[+-]?0\d", digits):
                self.fail(position, path)  # 007 may be an octal number, a code or a seven
            self.note("number_syntax", path, digits)
        try:
            whole = re.fullmatch(r"[+-]?\d+", digits) is not None
            return (_whole_number(digits) if whole else _finite(digits)), found.end()
        except ValueError:
            self.note("number_out_of_range", path, _quoted(digits))
            return None, found.end()

    def _string(self, position: int, path: tuple[str | int, ...]) -> tuple[str, int]:
        opening = self.text[position]
        closing = _CLOSING[opening]
        if opening != '"':
            self.note("quotes", path)
        made: list[str] = []
        position += 1
        while position < len(self.text):
            character = self.text[position]
            if character == closing:
                text = _joined("".join(made))
                if _SURROGATE.search(text):
                    self.note("invalid_unicode", path)
                return text, position + 1
            if character == "\\":
                position = self._escape(position + 1, closing, made, path)
                continue
            if character < " ":
                self.note("control_character", path, repr(character))
            made.append(character)
            position += 1
        return self.fail(position, path)

    def _escape(self, position: int, closing: str, made: list[str], path: tuple[str | int, ...]) -> int:
        """Read what follows a backslash; returns the position after it."""
        escaped = self.text[position : position + 1]
        if not escaped:
            self.fail(position, path)
        if escaped == "u":
            digits = self.text[position + 1 : position + 5]
            if re.fullmatch(r"[0-9A-Fa-f]{4}", digits):
                made.append(chr(int(digits, 16)))
                return position + 5
        if escaped in _ESCAPES:
            made.append(_ESCAPES[escaped])
            return position + 1
        self.note("invalid_escape", path, repr("\\" + escaped))
        made.append(escaped if escaped in {closing, "'"} else "\\" + escaped)
        return position + 1

    def _list(self, position: int, path: tuple[str | int, ...]) -> tuple[list[Any], int]:
        made: list[Any] = []
        position = self.skip(position + 1, path)
        while not self.text.startswith("]", position):
            value, position = self.value(position, (*path, len(made)))
            self.members += 1
            made.append(value)
            position = self._between(position, "]", path)
        return made, position + 1

    def _object(self, position: int, path: tuple[str | int, ...]) -> tuple[dict[str, Any], int]:
        made: dict[str, Any] = {}
        position = self.skip(position + 1, path)
        while not self.text.startswith("}", position):
            key, position = self._key(position, path)
            position = self.skip(position, path)
            if not self.text.startswith(":", position):
                self.fail(position, (*path, key))
            self.members += 1
            value, position = self.value(self.skip(position + 1, path), (*path, key))
            if key in made:
                same = json.dumps(made[key], sort_keys=True) == json.dumps(value, sort_keys=True)
                self.note("duplicate_key" if same else "conflicting_key", (*path, key))
            made[key] = value
            position = self._between(position, "}", path)
        return made, position + 1

    def _key(self, position: int, path: tuple[str | int, ...]) -> tuple[str, int]:
        if position < len(self.text) and self.text[position] in _CLOSING:
            return self._string(position, path)
        word = _WORD.match(self.text, position)
        if word is None:
            self.fail(position, path)
        if word.end() == len(self.text):
            self.fail(word.end(), path)
        self.note("unquoted_key", path, word[0])
        return word[0], word.end()

    def _between(self, position: int, closing: str, path: tuple[str | int, ...]) -> int:
        """The position of the next member, or of the closing bracket."""
        position = self.skip(position, path)
        if self.text.startswith(closing, position):
            return position
        if not self.text.startswith(",", position):
            if position >= len(self.text) or self.text[position] in "]}:":
                self.fail(position, path)
            self.note("missing_comma", path)
            return position
        position = self.skip(position + 1, path)
        if self.text.startswith(closing, position):
            self.note("trailing_comma", path)
        return position


def _joined(text: str) -> str:
    """Surrogate pairs that were escaped one by one, as the characters they stand for."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _paired(text) else text


def _paired(text: str) -> bool:
    return re.search("[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]", text) is None
