"""OpenTelemetry: finished traces in, spans and metrics with GenAI names out, over OTLP/HTTP.

Nothing is sent unless an endpoint is set. Questions, prompts and answers go along only if that is asked for.
Sending is done in the background. A collector that is down costs nothing but its data: batches wait in a
bounded queue and are dropped, with a log line.
"""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from firstfault.serve import genai
from firstfault.trace import status

if TYPE_CHECKING:
    from firstfault.types import Trace

TIMEOUT_S = 5
EXPORT_EVERY_MS = 15_000
MOST_WAITING = 4096
"""Spans in the queue; further ones are dropped."""


class Telemetry:
    """Sends what is observed to a collector. `close` sends the rest."""

    def __init__(self, endpoint: str, *, content: bool = False) -> None:
        base = endpoint.rstrip("/")
        resource = Resource.create({"service.name": "firstfault"})
        self._content = content
        self._spans = TracerProvider(resource=resource)
        self._spans.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=TIMEOUT_S), max_queue_size=MOST_WAITING
            )
        )
        exporter = OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=TIMEOUT_S)
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=EXPORT_EVERY_MS)
        self._metrics = MeterProvider(resource=resource, metric_readers=[reader])
        self._tracer = self._spans.get_tracer("firstfault")
        meter = self._metrics.get_meter("firstfault")
        self._duration = meter.create_histogram(genai.METRIC_DURATION, "s", "Duration of a generation.")
        self._tokens = meter.create_histogram(genai.METRIC_TOKENS, "{token}", "Tokens used.")
        self._first = meter.create_histogram(genai.METRIC_FIRST_TOKEN, "s", "Until the first text.")
        self._stage = meter.create_histogram(genai.METRIC_STAGE, "s", "Time in a stage.")

    def observe(self, trace: "Trace") -> None:
        """Turn a finished trace into spans and measurements; they are sent in the background."""
        began = int(datetime.fromisoformat(trace.at).timestamp() * 1e9)
        root = self._tracer.start_span(
            f"{genai.INVOKE} {trace.collection}",
            kind=SpanKind.SERVER,
            start_time=began,
            attributes={
                genai.OPERATION: genai.INVOKE,
                genai.TRACE_ID: trace.id,
                genai.DATA_SOURCE: trace.collection,
                genai.STATUS: status(trace),
                genai.CORPUS_VERSION: trace.corpus_version,
                genai.FINGERPRINT: trace.fingerprint,
            },
        )
        if trace.error is not None:
            root.set_attribute(genai.ERROR_TYPE, "stage_failed")
            root.set_status(Status(StatusCode.ERROR, trace.error if self._content else "a stage failed"))
        if self._content:
            root.set_attribute(genai.QUESTION, trace.question)
            if trace.answer is not None:
                root.set_attribute(genai.ANSWER, trace.answer.text)
        context = set_span_in_context(root)
        for one in trace.spans:
            start = began + int(one.start_ms * 1e6)
            operation = genai.OPERATION_OF_STAGE.get(one.stage)
            attributes: dict[str, Any] = {
                genai.STAGE: one.stage,
                **{
                    f"{genai.STAGE_PREFIX}{k}": v
                    for k, v in one.attributes.items()
                    if _plain(v, self._content)
                },
            }
            if operation is not None:
                attributes[genai.OPERATION] = operation
            span = self._tracer.start_span(
                f"{operation or 'stage'} {one.stage}",
                context=context,
                kind=SpanKind.CLIENT if operation == genai.CHAT else SpanKind.INTERNAL,
                start_time=start,
                attributes=attributes,
            )
            for event in one.events:
                shown = {k: v for k, v in event.attributes.items() if _plain(v, self._content)}
                span.add_event(event.name, shown, began + int(event.at_ms * 1e6))
            if one.stage == "generate":
                self._generation(span, trace, one.duration_ms / 1000)
            if one.stage == "cite":
                self._verdicts(span, trace, start + int(one.duration_ms * 1e6))
            if one.status == "error":
                span.set_status(Status(StatusCode.ERROR))
            span.end(start + int(one.duration_ms * 1e6))
            self._stage.record(one.duration_ms / 1000, {genai.STAGE: one.stage})
        root.end(began + int(trace.total_ms * 1e6))

    def close(self) -> None:
        """Send what waits; takes at most a few seconds when the collector is down."""
        self._spans.shutdown()
        self._metrics.shutdown(timeout_millis=TIMEOUT_S * 1000)

    def _generation(self, span: Span, trace: "Trace", seconds: float) -> None:
        made = trace.generation
        settings = trace.settings["generator"]
        provider = genai.PROVIDER_OF_KIND.get(str(settings["kind"]), "firstfault")
        span.set_attribute(genai.PROVIDER, provider)
        span.set_attribute(genai.REQUEST_MODEL, str(settings["model"]))
        if made is None:
            return
        labels = {genai.OPERATION: genai.CHAT, genai.PROVIDER: provider, genai.REQUEST_MODEL: made.model}
        span.set_attributes(
            {genai.RESPONSE_MODEL: made.model, genai.RESPONSE_FINISH_REASONS: [made.finish_reason]}
        )
        self._duration.record(seconds, labels)
        if trace.time_to_first_token_ms is not None:
            span.set_attribute(genai.TIME_TO_FIRST_CHUNK, trace.time_to_first_token_ms / 1000)
            self._first.record(trace.time_to_first_token_ms / 1000, labels)
        for name, kind, count in (
            (genai.INPUT_TOKENS, "input", made.prompt_tokens),
            (genai.OUTPUT_TOKENS, "output", made.completion_tokens),
        ):
            if count is not None:
                span.set_attribute(name, count)
                self._tokens.record(count, {**labels, genai.TOKEN_TYPE: kind})
        if self._content:
            turns = [{"role": turn.role, "content": turn.content} for turn in made.prompt]
            span.set_attribute(genai.INPUT_MESSAGES, json.dumps(turns, ensure_ascii=False))
            said = [{"role": "assistant", "content": made.raw}]
            span.set_attribute(genai.OUTPUT_MESSAGES, json.dumps(said, ensure_ascii=False))

    def _verdicts(self, span: Span, trace: "Trace", at: int) -> None:
        """One evaluation event a sentence."""
        if trace.answer is None:
            return
        for claim in trace.answer.claims:
            attributes: dict[str, Any] = {
                genai.EVALUATION_NAME: claim.verdict.name,
                genai.EVALUATION_LABEL: claim.verdict.label,
            }
            if claim.verdict.score is not None:
                attributes[genai.EVALUATION_SCORE] = claim.verdict.score
            if self._content:
                attributes[genai.EVALUATION_EXPLANATION] = claim.verdict.reason
            span.add_event(genai.EVALUATION_RESULT, attributes, at)


def _plain(value: object, content: bool) -> bool:
    """Whether an attribute may be sent: text may quote a question or a document."""
    return value is not None and (content or not isinstance(value, str))
