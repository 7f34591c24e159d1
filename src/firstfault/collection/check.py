"""The collection's part of the doctor: does what is stored hold together?

In: the catalog and its index. Out: one verdict a check, with the fix. Nothing is changed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from firstfault.collection import changes
from firstfault.collection.catalog import Catalog
from firstfault.collection.database import place_of, reading
from firstfault.collection.index import Index
from firstfault.collection.place import Place
from firstfault.collection.recovery import compare
from firstfault.types import Verdict

_SAMPLE = 200
"""Vectors of the index that are compared with the catalog's."""
_SAME = 0.999
"""Cosine from which two vectors are the same but for rounding."""


def check(catalog: Catalog, index: Index, place: Place) -> Iterator[Verdict]:
    """Database, index against catalog, vectors, metadata fields, failed sources."""
    yield _database(catalog)
    yield _agreement(catalog, index, place.remedy)
    yield _vectors(catalog, index, place.remedy)
    yield _fields(catalog)
    yield _failures(catalog)


def _database(catalog: Catalog) -> Verdict:
    if catalog.engine.dialect.name == "postgresql":
        with reading(catalog.engine) as connection:
            version = connection.exec_driver_sql("SHOW server_version").scalar()
        reason = f"{place_of(catalog.engine)} answers (PostgreSQL {version})"
        return Verdict(name="database", status="ok", reason=reason)
    with reading(catalog.engine) as connection:
        said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    file = Path(str(catalog.engine.url.database)).name
    if said == "ok":
        return Verdict(name="database", status="ok", reason=f"{file} is sound")
    return Verdict(
        name="database",
        status="fail",
        reason=f"{file} is damaged: {said}",
        remedy="Restore a copy, or ingest into a new --home.",
    )


def _agreement(catalog: Catalog, index: Index, rebuild: str) -> Verdict:
    found = compare(catalog, index)
    wrong = len(found.lacking) + len(found.foreign)
    if not wrong:
        points = index.info().points
        return Verdict(
            name="index",
            status="ok",
            measured=0.0,
            limit=0.0,
            reason=f"{points} points agree with the catalog",
        )
    return Verdict(
        name="index",
        status="fail",
        measured=float(wrong),
        limit=0.0,
        reason=f"{len(found.lacking)} chunks are missing from the index, {len(found.foreign)} do not belong",
        remedy=rebuild,
    )


def _vectors(catalog: Catalog, index: Index, rebuild: str) -> Verdict:
    keys = list(catalog.spans())
    sample = keys[:: max(1, len(keys) // _SAMPLE)][:_SAMPLE]
    stored = index.vectors(sample)
    wanted = catalog.vectors(sample)
    cosines = [
        float(stored[key] @ wanted[key] / (np.linalg.norm(stored[key]) * np.linalg.norm(wanted[key]) + 1e-12))
        for key in sample
        if key in stored
    ]
    if not cosines:
        return Verdict(name="vectors", status="unknown", reason="there is no vector to compare yet")
    worst = min(cosines)
    return Verdict(
        name="vectors",
        status="ok" if worst >= _SAME else "fail",
        measured=round(worst, 6),
        limit=_SAME,
        reason=f"{len(cosines)} sampled vectors: lowest cosine between index and catalog {worst:.4f}",
        remedy="" if worst >= _SAME else rebuild,
    )


def _fields(catalog: Catalog) -> Verdict:
    counted = set(changes.field_counts(catalog.live_metadata()))
    known = {(name, kind) for name, kinds in catalog.fields().items() for kind in kinds}
    wrong = sorted(f"{name} ({kind})" for name, kind in counted ^ known)
    return Verdict(
        name="fields",
        status="fail" if wrong else "ok",
        measured=float(len(wrong)),
        limit=0.0,
        reason=f"miscounted: {', '.join(wrong)}"
        if wrong
        else f"{len(known)} metadata fields are counted right",
        remedy="Restore a copy of the home, or ingest into a new --home." if wrong else "",
    )


def _failures(catalog: Catalog) -> Verdict:
    failed = catalog.failures()
    if not failed:
        return Verdict(name="failed sources", status="ok", measured=0.0, limit=0.0, reason="none")
    first = failed[0]
    return Verdict(
        name="failed sources",
        status="warn",
        measured=float(len(failed)),
        limit=0.0,
        reason=f"{len(failed)} could not be ingested, e.g. {first.source}: {first.reason}",
        remedy="Correct them and run `firstfault ingest` again.",
    )
