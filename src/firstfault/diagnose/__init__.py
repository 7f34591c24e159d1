"""Diagnosis: which stage broke first, how that is known, what repairs it, and the proof that it does."""

from firstfault.diagnose.diagnosis import (
    diagnose,
    diagnose_run,
    generations,
    subjects_of,
    unlabelled,
    window,
)
from firstfault.diagnose.playbook import Playbook

__all__ = ["Playbook", "diagnose", "diagnose_run", "generations", "subjects_of", "unlabelled", "window"]
