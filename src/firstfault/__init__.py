"""Firstfault: run, measure, diagnose and repair LLM applications."""
