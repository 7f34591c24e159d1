"""Which shard of a cluster a point belongs to, where each tenant has one of its own.

In: a point's values, or a filter. Out: the key of a shard, or those of the shards that can hold what passes.
A shard is only a place: whatever is asked of it, the filter is applied there as everywhere.
"""

from collections.abc import Iterable

from firstfault.collection.filters import And, AnyOf, Compare, Filter, Or
from firstfault.types import Scalar

OTHERS = "(others)"
"""Holds what has no tenant that is a text, or several."""


def shard_of(values: Iterable[Scalar]) -> str:
    """The key of the shard for a point, from the values of its field: its one text."""
    texts = {value for value in values if isinstance(value, str) and value}
    return texts.pop() if len(texts) == 1 else OTHERS


def shards_for(where: Filter | None, field: str) -> set[str] | None:
    """The keys of the shards that can hold what a filter admits; None = any shard can."""
    match where:
        case Compare() if where.field == field and where.operator == "=" and isinstance(where.value, str):
            return {where.value, OTHERS}
        case AnyOf() if where.field == field and all(isinstance(value, str) for value in where.values):
            return {*map(str, where.values), OTHERS}
        case And():
            known = [found for part in where.parts if (found := shards_for(part, field)) is not None]
            return set.intersection(*known) if known else None
        case Or():
            either = [shards_for(part, field) for part in where.parts]
            settled = [part for part in either if part is not None]
            return set.union(*settled) if len(settled) == len(either) else None
    return None
