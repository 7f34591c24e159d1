"""Collections: the catalog (SQL, the truth), the embedding cache, the index (derived), filters and fusion."""

from firstfault.collection.collection import Collection
from firstfault.collection.filters import Filter, admits, parse_where, render
from firstfault.collection.fusion import fuse, rerank
from firstfault.collection.records import (
    Acknowledged,
    CollectionInfo,
    DocumentRow,
    Failure,
    GcReport,
    Recovery,
    Revision,
)
from firstfault.collection.writer import check_document

__all__ = [
    "Acknowledged",
    "Collection",
    "CollectionInfo",
    "DocumentRow",
    "Failure",
    "Filter",
    "GcReport",
    "Recovery",
    "Revision",
    "admits",
    "check_document",
    "fuse",
    "parse_where",
    "render",
    "rerank",
]
