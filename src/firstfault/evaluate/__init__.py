"""Measuring: cases in, metrics with their uncertainty out."""

from firstfault.evaluate.cases import read_cases, write_cases
from firstfault.evaluate.evidence import Gold, Locator, TextSpan, contributing, satisfied, span_of
from firstfault.evaluate.run import evaluate
from firstfault.evaluate.store import RunStore

__all__ = [
    "Gold",
    "Locator",
    "RunStore",
    "TextSpan",
    "contributing",
    "evaluate",
    "read_cases",
    "satisfied",
    "span_of",
    "write_cases",
]
