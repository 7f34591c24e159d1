"""Structured output: schemas, reading what a model wrote, repair, and the watch over drift.

In: a JSON schema and a model's words. Out: a value that satisfies the schema, or which rule it breaks where.
"""

from firstfault.structured.repair import Examined, Mended, examine, mend
from firstfault.structured.schema import EVIDENCE, Schema, compile_schema, read_schema

__all__ = ["EVIDENCE", "Examined", "Mended", "Schema", "compile_schema", "examine", "mend", "read_schema"]
