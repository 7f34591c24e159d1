"""Filters and validity in Qdrant's own terms: the same for the embedded engine and for a cluster.

In: a `Filter` or a corpus version, and the classes of the engine's package. Out: conditions of a query.
"""

from dataclasses import dataclass
from typing import Any

from firstfault.collection.filters import (
    And,
    AnyOf,
    Compare,
    Filter,
    Not,
    Operator,
    Or,
    compared_as,
)
from firstfault.collection.layout import path_of, stored
from firstfault.types import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The classes of which a package builds its queries; their signatures are the same in both."""

    filter: Any
    field: Any
    """A condition on one key of the payload."""
    match: Any
    range: Any


def valid_at(version: int | None, terms: Terms) -> list[Any]:
    """What holds for points that are valid at a corpus version; None = now."""
    if version is None:
        return [terms.field(key="live", match=terms.match(value=1))]
    return [
        terms.field(key="from", range=terms.range(lte=version)),
        terms.field(key="to", range=terms.range(gt=version)),
    ]


def condition(where: Filter, terms: Terms) -> Any:
    """The engine's filter with the meaning of `filters.admits`."""
    match where:
        case Compare():
            return _compare(where.field, where.operator, where.value, terms)
        case AnyOf():
            return terms.filter(should=[_compare(where.field, "=", value, terms) for value in where.values])
        case Not():
            return terms.filter(must_not=[condition(where.part, terms)])
        case And():
            return terms.filter(must=[condition(part, terms) for part in where.parts])
        case Or():
            return terms.filter(should=[condition(part, terms) for part in where.parts])


def _compare(field: str, operator: Operator, value: Scalar, terms: Terms) -> Any:
    kind = compared_as(operator, value)
    path = path_of(field, kind)
    wanted = stored(value, kind)
    if isinstance(wanted, str):
        return terms.field(key=path, match=terms.match(value=wanted))
    bounds = {
        "=": {"gte": wanted, "lte": wanted},
        "<": {"lt": wanted},
        "<=": {"lte": wanted},
        ">": {"gt": wanted},
        ">=": {"gte": wanted},
    }
    return terms.field(key=path, range=terms.range(**bounds[operator]))
