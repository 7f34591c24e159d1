"""Choosing between retrieval, fine-tuning and both: advice from what is known, a bake-off to measure it."""

from firstfault.advise.recommend import Advice, advise
from firstfault.advise.requirements import Fact, Measured, facts, read_requirements
from firstfault.advise.rules import shipped

__all__ = ["Advice", "Fact", "Measured", "advise", "facts", "read_requirements", "shipped"]
