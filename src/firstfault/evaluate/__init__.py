"""Measuring: cases in, metrics with their uncertainty out."""
