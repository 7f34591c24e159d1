"""Traces: recording, storing and replaying requests."""

from firstfault.trace.record import OpenSpan, Recording
from firstfault.trace.store import TraceStore, as_dict, status

__all__ = ["OpenSpan", "Recording", "TraceStore", "as_dict", "status"]
