"""Files → Document → Chunk spans, with exact character offsets, and the pipeline that feeds a collection.

In: files, folders, JSONL or documents made in Python. Out: what a collection stores, and a report.
"""

from firstfault.ingest.chunking import Chunker
from firstfault.ingest.metadata import parse_flags
from firstfault.ingest.pdf import page_at
from firstfault.ingest.pipeline import ingest, ingest_documents
from firstfault.ingest.run import IngestReport, Progress
from firstfault.ingest.sources import Failed
from firstfault.ingest.units import heading_path

__all__ = [
    "Chunker",
    "Failed",
    "IngestReport",
    "Progress",
    "heading_path",
    "ingest",
    "ingest_documents",
    "page_at",
    "parse_flags",
]
