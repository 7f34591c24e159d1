"""Metadata filters: the `--where` language, its meaning, and the check against the fields that exist.

In: text such as `kind = "function" and (year >= 2020 or not lang in ("de", "fr"))`. Out: a `Filter`.

A comparison holds when any value of the field satisfies it (a field may hold a list). A document without
the field satisfies no comparison, hence every `not` of one; `a != b` is `not a = b`. Numbers and dates have
an order: `published >= "2024-01-01"` compares points in time (see `dates`), `=` texts as they stand.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Literal, NoReturn

from firstfault.collection.dates import moment
from firstfault.errors import InputError, did_you_mean
from firstfault.types import Metadata, Scalar

FieldKind = Literal["text", "number", "boolean", "date"]
"""A date is a text as well."""
Operator = Literal["=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """`field operator value`; the order operators take numbers, and texts that are dates."""

    field: str
    operator: Operator
    value: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """`field in (values)`."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """Everything that the part does not admit."""

    part: "Filter"


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    """What every part admits."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """What at least one part admits."""

    parts: tuple["Filter", ...]


Filter = Compare | AnyOf | Not | And | Or

LONGEST = 10_000
"""Characters of a filter."""
DEEPEST = 40
"""Parentheses and `not`s inside one another."""

_EXAMPLE = 'Write e.g. kind = "function" and (year >= 2020 or not lang in ("de", "fr")).'
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<quoted>`[^`]+`)
    | (?P<word>[^\W\d][\w.\-]*)
    | (?P<sign><=|>=|!=|<>|==|[=<>(),])
    )""",
    re.VERBOSE | re.DOTALL,
)
_OPERATORS: Mapping[str, Operator] = {"=": "=", "==": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_ORDER: Mapping[Operator, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """`number`, `text`, `quoted`, `word`, `sign` or `end`."""
    raw: str
    position: int

    @property
    def keyword(self) -> str:
        """The token in lower case when it is a bare word or a sign, else nothing."""
        return self.raw.lower() if self.kind in ("word", "sign") else ""


def parse_where(text: str) -> Filter:
    """Read a filter.

    Raises:
        InputError: it is not in the language; the message names the position, from 1.
    """
    if len(text) > LONGEST:
        raise InputError(
            f"The filter has {len(text):,} characters; at most {LONGEST:,} are accepted.",
            hint="Put what it selects into one metadata field, and filter on that.",
        )
    return _Parser(text).parse()


class _Parser:
    """Recursive descent: or → and → not → comparison."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scan())
        self._next = 0
        self._depth = 0

    def parse(self) -> Filter:
        found = self._or()
        if self._token.kind != "end":
            self._fail("expected 'and', 'or' or the end")
        return found

    def _scan(self) -> Iterator[_Token]:
        position = 0
        end = len(self._text.rstrip())
        while position < end:
            match = _TOKEN.match(self._text, position)
            if match is None or match.lastgroup is None:
                position += len(self._text[position:]) - len(self._text[position:].lstrip())
                quote = self._text[position] in "\"'`"
                what = (
                    "this quote is not closed" if quote else f"{self._text[position]!r} has no meaning here"
                )
                self._fail(what, position)
            yield _Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
            position = match.end()
        yield _Token("end", "", end)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *keywords: str) -> bool:
        if self._token.keyword in keywords:
            self._next += 1
            return True
        return False

    def _or(self) -> Filter:
        parts = [self._and()]
        while self._take("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(parts=tuple(parts))

    def _and(self) -> Filter:
        parts = [self._not()]
        while self._take("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else And(parts=tuple(parts))

    def _not(self) -> Filter:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(f"more than {DEEPEST} levels inside one another")
        try:
            if self._take("not"):
                return Not(part=self._not())
            if self._take("("):
                inner = self._or()
                if not self._take(")"):
                    self._fail("expected ')'")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Filter:
        field = self._field()
        if self._take("not"):
            if not self._take("in"):
                self._fail("expected 'in' after 'not'")
            return Not(part=self._any_of(field))
        if self._take("in"):
            return self._any_of(field)
        if self._take("!=", "<>"):
            return Not(part=Compare(field=field, operator="=", value=self._value()))
        sign = _OPERATORS.get(self._token.keyword)
        if sign is None:
            self._fail("expected =, !=, <, <=, >, >= or in")
        self._next += 1
        position = self._token.position
        value = self._value()
        if sign != "=" and (isinstance(value, bool) or (isinstance(value, str) and moment(value) is None)):
            self._fail(f"'{sign}' needs a number, or a date such as \"2024-01-31\"", position)
        return Compare(field=field, operator=sign, value=value)

    def _field(self) -> str:
        token = self._token
        if token.kind == "quoted":
            self._next += 1
            return token.raw[1:-1]
        if token.kind != "word" or token.keyword in _KEYWORDS:
            self._fail("expected the name of a field")
        self._next += 1
        return token.raw

    def _any_of(self, field: str) -> AnyOf:
        if not self._take("("):
            self._fail("expected '(' after 'in'")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        if not self._take(")"):
            self._fail("expected ',' or ')'")
        return AnyOf(field=field, values=tuple(values))

    def _value(self) -> Scalar:
        token = self._token
        if token.kind == "text":
            self._next += 1
            return re.sub(r"\\(.)", r"\1", token.raw[1:-1], flags=re.DOTALL)
        if token.kind == "number":
            self._next += 1
            if re.fullmatch(r"[-+]?\d+", token.raw):
                return int(token.raw)
            if math.isinf(float(token.raw)):
                self._fail("this number is too large", token.position)
            return float(token.raw)
        if token.keyword in ("true", "false"):
            self._next += 1
            return token.keyword == "true"
        if token.kind == "word":
            self._fail(f'text stands in quotes: "{token.raw}"')
        return self._fail("expected a value")

    def _fail(self, what: str, position: int | None = None) -> NoReturn:
        if position is None:
            position = self._token.position
        found = self._text[position : position + 20]
        where = f"at character {position + 1}, '{found}'" if found else "at its end"
        raise InputError(f"The filter cannot be read: {what}, {where}.", hint=_EXAMPLE)


def render(where: Filter) -> str:
    """The filter as text; `parse_where` reads back an equal filter."""
    match where:
        case Compare():
            return f"{_name(where.field)} {where.operator} {_literal(where.value)}"
        case AnyOf():
            return f"{_name(where.field)} in ({', '.join(_literal(value) for value in where.values)})"
        case Not():
            return f"not {_inside(where.part)}"
        case And():
            return " and ".join(_inside(part) for part in where.parts)
        case Or():
            return " or ".join(_inside(part) for part in where.parts)


def _inside(part: Filter) -> str:
    return f"({render(part)})" if isinstance(part, And | Or) else render(part)


def _name(field: str) -> str:
    plain = re.fullmatch(r"[^\W\d][\w.\-]*", field) and field.lower() not in _KEYWORDS
    return field if plain else f"`{field}`"


def _literal(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def kind_of(value: Scalar) -> FieldKind:
    """What a single metadata value is."""
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def kinds_of(value: Scalar) -> tuple[FieldKind, ...]:
    """What a single metadata value can be compared as."""
    is_date = isinstance(value, str) and moment(value) is not None
    return (kind_of(value), "date") if is_date else (kind_of(value),)


def compared_as(operator: Operator, value: Scalar) -> FieldKind:
    """What a comparison with a value looks at: `=` at texts, the order operators at dates."""
    return "date" if isinstance(value, str) and operator != "=" else kind_of(value)


def values_of(metadata: Metadata, field: str) -> list[Scalar]:
    """The values that a field holds: none, one, or those of its list."""
    value = metadata.get(field, [])
    return list(value) if isinstance(value, list) else [value]


def admits(where: Filter, metadata: Metadata) -> bool:
    """Whether a document with this metadata passes: the meaning that every index must reproduce."""
    match where:
        case Compare():
            return any(
                _holds(value, where.operator, where.value) for value in values_of(metadata, where.field)
            )
        case AnyOf():
            return any(
                _holds(value, "=", wanted)
                for value in values_of(metadata, where.field)
                for wanted in where.values
            )
        case Not():
            return not admits(where.part, metadata)
        case And():
            return all(admits(part, metadata) for part in where.parts)
        case Or():
            return any(admits(part, metadata) for part in where.parts)


def _holds(value: Scalar, sign: Operator, wanted: Scalar) -> bool:
    """Numbers are compared as doubles, dates as points in time; values of different kinds never match."""
    if kind_of(value) != kind_of(wanted):
        return False
    if isinstance(value, str) and isinstance(wanted, str):
        if sign == "=":
            return value == wanted
        at, bound = moment(value), moment(wanted)
        return at is not None and bound is not None and _ORDER[sign](at, bound)
    return _ORDER[sign](float(value), float(wanted))


def comparisons(where: Filter) -> Iterator[tuple[str, FieldKind, Scalar]]:
    """Every field with every value that it is compared to, and what it must hold for that."""
    match where:
        case Compare():
            yield where.field, compared_as(where.operator, where.value), where.value
        case AnyOf():
            for value in where.values:
                yield where.field, kind_of(value), value
        case Not():
            yield from comparisons(where.part)
        case And() | Or():
            for part in where.parts:
                yield from comparisons(part)


def check(where: Filter, known: Mapping[str, Set[FieldKind]]) -> None:
    """Compare a filter with the fields that live documents have, by the kinds of their values.

    Raises:
        InputError: a field that no document has, or a value of a kind that the field never holds.
    """
    for field, kind, value in comparisons(where):
        if field not in known:
            raise InputError(f"No document has the field '{field}'.", hint=_suggest(field, known))
        if kind not in known[field]:
            holds = " and ".join(sorted(known[field] - {"date"}))
            hint = "Text stands in quotes, numbers and true or false do not."
            if kind == "date":
                hint = "Of texts only dates have an order: YYYY-MM-DD, or with a time YYYY-MM-DDThh:mm:ss."
            raise InputError(
                f"The field '{field}' holds {holds} values, and {_literal(value)} is a {kind}.", hint=hint
            )


def _suggest(field: str, known: Mapping[str, Set[FieldKind]]) -> str:
    if not known:
        return "No document has metadata: give some with --meta key=value, front matter or JSONL."
    names = sorted(known)
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"{did_you_mean(field, names, '')} There are: {listed}.".lstrip()
