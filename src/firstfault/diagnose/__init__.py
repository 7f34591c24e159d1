"""Diagnosis: which stage broke first, how that is known, what repairs it, and the proof that it does."""
