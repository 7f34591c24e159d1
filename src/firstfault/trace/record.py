"""Recording one request: stages open and close, notes and events land in their span.

In: what happens, as it happens. Out: spans, in the order in which the stages began.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from firstfault.stages import Stage
from firstfault.types import Event, Scalar, Span


def new_trace_id(now: datetime | None = None) -> str:
    """A sortable, unguessable id: UTC time to the millisecond, then 40 random bits."""
    now = now or datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{secrets.token_hex(5)}"


class OpenSpan:
    """A stage that is running."""

    def __init__(self, recording: "Recording", stage: Stage) -> None:
        self._recording = recording
        self._stage = stage
        self._start = recording.elapsed_ms()
        self._attributes: dict[str, Scalar | None] = {}
        self._events: list[Event] = []

    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return self._recording.elapsed_ms()

    def note(self, **attributes: Scalar | None) -> None:
        """Attach facts to the span."""
        self._attributes.update(attributes)

    def event(self, name: str, **attributes: Scalar | None) -> None:
        """Attach something that happened: a fallback, a retry, a flag."""
        self._events.append(Event(name=name, at_ms=self._recording.elapsed_ms(), attributes=attributes))

    def close(self, *, failed: bool) -> Span:
        """The finished span."""
        return Span(
            stage=self._stage.value,
            start_ms=self._start,
            duration_ms=round(self._recording.elapsed_ms() - self._start, 3),
            status="error" if failed else "ok",
            attributes=self._attributes,
            events=tuple(self._events),
        )


class Recording:
    """The clock and the spans of one request."""

    def __init__(self) -> None:
        self.id = new_trace_id()
        self.at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._began = time.perf_counter()
        self._spans: list[Span] = []
        self.time_to_first_token_ms: float | None = None
        self.key: str | None = None
        """Id of the API key that asked; servers set it."""

    def elapsed_ms(self) -> float:
        """Milliseconds since the request began."""
        return round((time.perf_counter() - self._began) * 1000, 3)

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[OpenSpan]:
        """Time a stage; an exception marks its span as failed and goes on."""
        span = OpenSpan(self, stage)
        try:
            yield span
        except BaseException:
            self._spans.append(span.close(failed=True))
            raise
        self._spans.append(span.close(failed=False))

    def remaining_s(self, limit: float) -> float:
        """Seconds that a stage may take: its own limit here; less where the request has a deadline."""
        return limit

    def first_token(self) -> None:
        """Note the time of the first generated text; later calls change nothing."""
        if self.time_to_first_token_ms is None:
            self.time_to_first_token_ms = self.elapsed_ms()

    def spans(self) -> tuple[Span, ...]:
        """The finished stages."""
        return tuple(self._spans)
