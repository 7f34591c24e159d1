"""OpenTelemetry: finished traces in, spans and metrics with GenAI names out, over OTLP/HTTP.

Nothing is sent unless an endpoint is set. Questions, prompts and answers go along only if that is asked for.
A request pays for putting its trace into a bounded queue. One thread makes spans of what waits and sends
them; while the collector is down the queue fills, and what has no place is dropped, with a log line.
"""

import json
import logging
import queue
import secrets
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from firstfault.serve import genai
from firstfault.trace import status

if TYPE_CHECKING:
    from firstfault.types import Span, Trace

logger = logging.getLogger(__name__)

TIMEOUT_S = 5
EXPORT_EVERY_MS = 15_000
SEND_EVERY_S = 1.0
MOST_WAITING = 512
"""Traces in the queue; further ones are dropped."""
MOST_AT_ONCE = 64
"""Traces that are sent in one message."""
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Telemetry:
    """Sends what is observed to a collector. `close` sends the rest."""

    def __init__(self, endpoint: str, *, content: bool = False) -> None:
        base = endpoint.rstrip("/")
        self._content = content
        self._resource = Resource.create({"service.name": "firstfault"})
        self._scope = InstrumentationScope("firstfault")
        self._exporter = OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=TIMEOUT_S)
        exporter = OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=TIMEOUT_S)
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=EXPORT_EVERY_MS)
        self._metrics = MeterProvider(resource=self._resource, metric_readers=[reader])
        meter = self._metrics.get_meter("firstfault")
        self._duration = meter.create_histogram(genai.METRIC_DURATION, "s", "Duration of a generation.")
        self._tokens = meter.create_histogram(genai.METRIC_TOKENS, "{token}", "Tokens used.")
        self._first = meter.create_histogram(genai.METRIC_FIRST_TOKEN, "s", "Until the first text.")
        self._stage = meter.create_histogram(genai.METRIC_STAGE, "s", "Time in a stage.")
        self._waiting: queue.Queue[Trace] = queue.Queue(MOST_WAITING)
        self._dropped = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def observe(self, trace: "Trace") -> None:
        """Take in a finished trace; it is sent in the background, or dropped where nothing has been sent for
        long."""
        try:
            self._waiting.put_nowait(trace)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Send what waits; takes at most a few seconds when the collector is down."""
        self._closing.set()
        self._thread.join(TIMEOUT_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
        self._metrics.shutdown(timeout_millis=TIMEOUT_S * 1000)

    def _run(self) -> None:
        closing = False
        while not closing:
            closing = self._closing.wait(SEND_EVERY_S)
            while taken := self._take():
                try:
                    self._exporter.export([span for trace in taken for span in self._spans(trace)])
                except Exception:  # what is said about requests must not end because of one of them
                    logger.exception("%d traces were not sent to the collector", len(taken))
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                logger.warning("%d traces were not sent: the collector is down or too slow", dropped)

    def _take(self) -> "list[Trace]":
        taken: list[Trace] = []
        while len(taken) < MOST_AT_ONCE and not self._waiting.empty():
            taken.append(self._waiting.get_nowait())
        return taken

    def _spans(self, trace: "Trace") -> list[ReadableSpan]:
        """The spans of a trace, the root first; its measurements are recorded on the way."""
        began = int(datetime.fromisoformat(trace.at).timestamp() * 1e9)
        attributes: dict[str, Any] = {
            genai.OPERATION: genai.INVOKE,
            genai.TRACE_ID: trace.id,
            genai.DATA_SOURCE: trace.collection,
            genai.STATUS: status(trace),
            genai.CORPUS_VERSION: trace.corpus_version,
            genai.FINGERPRINT: trace.fingerprint,
        }
        outcome = Status()
        if trace.error is not None:
            attributes[genai.ERROR_TYPE] = "stage_failed"
            outcome = Status(StatusCode.ERROR, trace.error if self._content else "a stage failed")
        if self._content:
            attributes[genai.QUESTION] = trace.question
            if trace.answer is not None:
                attributes[genai.ANSWER] = trace.answer.text
        context = _context(secrets.randbits(128))
        root = ReadableSpan(
            f"{genai.INVOKE} {trace.collection}",
            context,
            resource=self._resource,
            instrumentation_scope=self._scope,
            kind=SpanKind.SERVER,
            attributes=attributes,
            status=outcome,
            start_time=began,
            end_time=began + int(trace.total_ms * 1e6),
        )
        return [root, *(self._stage_span(one, trace, began, context) for one in trace.spans)]

    def _stage_span(self, one: "Span", trace: "Trace", began: int, root: SpanContext) -> ReadableSpan:
        start = began + int(one.start_ms * 1e6)
        end = start + int(one.duration_ms * 1e6)
        operation = genai.OPERATION_OF_STAGE.get(one.stage)
        attributes: dict[str, Any] = {
            genai.STAGE: one.stage,
            **{f"{genai.STAGE_PREFIX}{k}": v for k, v in one.attributes.items() if _plain(v, self._content)},
        }
        if operation is not None:
            attributes[genai.OPERATION] = operation
        events = [
            Event(
                event.name,
                {k: v for k, v in event.attributes.items() if _plain(v, self._content)},
                began + int(event.at_ms * 1e6),
            )
            for event in one.events
        ]
        if one.stage == "generate":
            attributes |= self._generation(trace, one.duration_ms / 1000)
        if one.stage == "cite":
            events += self._verdicts(trace, end)
        self._stage.record(one.duration_ms / 1000, {genai.STAGE: one.stage})
        return ReadableSpan(
            f"{operation or 'stage'} {one.stage}",
            _context(root.trace_id),
            parent=root,
            resource=self._resource,
            instrumentation_scope=self._scope,
            kind=SpanKind.CLIENT if operation == genai.CHAT else SpanKind.INTERNAL,
            attributes=attributes,
            events=events,
            status=Status(StatusCode.ERROR) if one.status == "error" else Status(),
            start_time=start,
            end_time=end,
        )

    def _generation(self, trace: "Trace", seconds: float) -> dict[str, Any]:
        """What is said about a generation; its measurements are recorded."""
        made = trace.generation
        settings = trace.settings["generator"]
        provider = genai.PROVIDER_OF_KIND.get(str(settings["kind"]), "firstfault")
        said: dict[str, Any] = {genai.PROVIDER: provider, genai.REQUEST_MODEL: str(settings["model"])}
        if made is None:
            return said
        labels = {genai.OPERATION: genai.CHAT, genai.PROVIDER: provider, genai.REQUEST_MODEL: made.model}
        said |= {genai.RESPONSE_MODEL: made.model, genai.RESPONSE_FINISH_REASONS: [made.finish_reason]}
        self._duration.record(seconds, labels)
        if trace.time_to_first_token_ms is not None:
            said[genai.TIME_TO_FIRST_CHUNK] = trace.time_to_first_token_ms / 1000
            self._first.record(trace.time_to_first_token_ms / 1000, labels)
        for name, kind, count in (
            (genai.INPUT_TOKENS, "input", made.prompt_tokens),
            (genai.OUTPUT_TOKENS, "output", made.completion_tokens),
        ):
            if count is not None:
                said[name] = count
                self._tokens.record(count, {**labels, genai.TOKEN_TYPE: kind})
        if self._content:
            turns = [{"role": turn.role, "content": turn.content} for turn in made.prompt]
            said[genai.INPUT_MESSAGES] = json.dumps(turns, ensure_ascii=False)
            wrote = [{"role": "assistant", "content": made.raw}]
            said[genai.OUTPUT_MESSAGES] = json.dumps(wrote, ensure_ascii=False)
        return said

    def _verdicts(self, trace: "Trace", at: int) -> list[Event]:
        """One evaluation event a sentence."""
        found = []
        for claim in trace.answer.claims if trace.answer is not None else ():
            attributes: dict[str, Any] = {
                genai.EVALUATION_NAME: claim.verdict.name,
                genai.EVALUATION_LABEL: claim.verdict.label,
            }
            if claim.verdict.score is not None:
                attributes[genai.EVALUATION_SCORE] = claim.verdict.score
            if self._content:
                attributes[genai.EVALUATION_EXPLANATION] = claim.verdict.reason
            found.append(Event(genai.EVALUATION_RESULT, attributes, at))
        return found


def _context(trace_id: int) -> SpanContext:
    """A new span of a trace."""
    return SpanContext(trace_id, secrets.randbits(64), is_remote=False, trace_flags=_SAMPLED)


def _plain(value: object, content: bool) -> bool:
    """Whether an attribute may be sent: text may quote a question or a document."""
    return value is not None and (content or not isinstance(value, str))
