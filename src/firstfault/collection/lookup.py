"""A row by what people type: the beginning of an id, or `last`, in; the one row that is meant, out."""

from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, Table, select

from firstfault.collection.database import reading
from firstfault.errors import InputError


def find(
    engine: Engine,
    table: Table,
    given: str,
    *,
    what: str,
    listed_by: str,
    last: ColumnElement[bool] | None = None,
) -> Row[Any]:
    """The row with this id, with the only id that begins with it, or the newest for "last".

    `last` is what the newest must fulfil. The table has `id` and `at`.

    Raises:
        InputError: there is no such row, or several.
    """
    query = select(table).order_by(table.c.at.desc(), table.c.id.desc())
    if given == "last":
        query = (query if last is None else query.where(last)).limit(1)
    else:
        query = query.where(table.c.id.startswith(given, autoescape=True)).limit(3)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    rows = [row for row in rows if row.id == given] or list(rows)
    if not rows and given == "last":
        raise InputError(f"No {what} yet.", hint=f"`{listed_by}` lists them once there is one.")
    if not rows or not given:
        raise InputError(f"No {what} '{given[:80]}'.", hint=f"`{listed_by}` lists them.")
    if len(rows) > 1:
        raise InputError(
            f"Several {what}s begin with '{given}': {', '.join(row.id for row in rows)}.",
            hint="Give more of the id.",
        )
    return rows[0]
