"""Counters and histograms for Prometheus: finished traces and HTTP requests in, `/metrics` out."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from firstfault.trace import status

if TYPE_CHECKING:
    from firstfault.serve.calls import Call
    from firstfault.serve.engine import Engine
    from firstfault.serve.jobs import Jobs
    from firstfault.serve.monitoring import Monitoring
    from firstfault.types import Trace

disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BREAKER = {"closed": 0.0, "half_open": 0.5, "open": 1.0}


class Metrics:
    """Everything that is counted. Thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._http = Counter(
            "firstfault_http_requests",
            "HTTP requests.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._http_seconds = Histogram(
            "firstfault_http_request_duration_seconds",
            "Until the last byte.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "firstfault_stage_duration_seconds",
            "Time in a stage.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._total = Histogram(
            "firstfault_answer_duration_seconds", "Whole requests.", buckets=_SECONDS, registry=self.registry
        )
        self._first = Histogram(
            "firstfault_time_to_first_token_seconds",
            "Until the first text.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._answers = Counter(
            "firstfault_answers", "Answers by outcome.", ["status"], registry=self.registry
        )
        self._tokens = Counter(
            "firstfault_tokens", "Tokens in and out of the model.", ["direction"], registry=self.registry
        )
        self._sentences = Counter(
            "firstfault_sentences", "Sentences by verdict.", ["verdict"], registry=self.registry
        )
        self._citations = Counter(
            "firstfault_citations", "Citations by verdict.", ["verdict"], registry=self.registry
        )
        self._formats = Counter(
            "firstfault_formats", "Structured answers.", ["result"], registry=self.registry
        )
        self._events = Counter(
            "firstfault_events", "Events on traces.", ["stage", "event"], registry=self.registry
        )
        self._degraded = Counter(
            "firstfault_degraded", "Answers made cheaper.", ["step"], registry=self.registry
        )

    def watch(self, engine: "Engine", jobs: "Jobs") -> None:
        """Read the engine's gauges whenever the metrics are asked for."""
        self.registry.register(_Gauges(lambda: _gauges(engine, jobs)))

    def watch_alerts(self, monitoring: "Monitoring") -> None:
        """Read the alerts whenever the metrics are asked for."""
        self.registry.register(_Gauges(lambda: _alerts(monitoring)))

    def requested(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an HTTP request; `route` is the pattern, so that ids make no series."""
        self._http.labels(route, method, str(status)).inc()
        self._http_seconds.labels(route).observe(seconds)

    def answered(self, trace: "Trace") -> None:
        """Count a finished trace."""
        self._answers.labels(status(trace)).inc()
        self._total.observe(trace.total_ms / 1000)
        if trace.time_to_first_token_ms is not None:
            self._first.observe(trace.time_to_first_token_ms / 1000)
        for span in trace.spans:
            self._stages.labels(span.stage).observe(span.duration_ms / 1000)
        for stage, event in trace.events():
            self._events.labels(stage, event.name).inc()
            if event.name == "degraded":
                self._degraded.labels(str(event.attributes.get("step"))).inc()
        if trace.generation is not None:
            self._tokens.labels("input").inc(trace.generation.prompt_tokens or 0)
            self._tokens.labels("output").inc(trace.generation.completion_tokens or 0)
        if trace.format is not None:
            self._formats.labels("valid" if trace.format.valid else trace.format.cause or "invalid").inc()
        if trace.answer is not None:
            for claim in (*trace.answer.claims, *trace.answer.removed):
                self._sentences.labels(claim.verdict.label).inc()
            for citation in trace.answer.citations:
                self._citations.labels(citation.verdict.label).inc()

    def generated(self, prompt: int | None, completion: int | None) -> None:
        """Count the tokens of a generation that has no trace."""
        self._tokens.labels("input").inc(prompt or 0)
        self._tokens.labels("output").inc(completion or 0)

    def searched(self, call: "Call") -> None:
        """Count the stages of a search."""
        for span in call.spans():
            self._stages.labels(span.stage).observe(span.duration_ms / 1000)
        for step in call.degraded:
            self._degraded.labels(step).inc()

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Gauges(Collector):
    def __init__(self, read: Callable[[], Iterator[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """What is true now."""
        return self._read()

    def describe(self) -> list[Metric]:
        """Nothing is known before it is read."""
        return []


def _alerts(monitoring: "Monitoring") -> Iterator[Metric]:
    found = GaugeMetricFamily(
        "firstfault_alert", "1 = it fires, 0.5 = pending.", labels=["collection", "rule", "stage", "incident"]
    )
    for alert in monitoring.alerts.current():
        labels = [alert.collection, alert.rule, alert.stage, alert.incident_id or ""]
        found.add_metric(labels, 1.0 if alert.state == "firing" else 0.5)
    yield found
    scored = CounterMetricFamily("firstfault_background_scores", "Requests of the sample.", labels=["result"])
    scored.add_metric(["scored"], monitoring.scored)
    scored.add_metric(["passed_over"], monitoring.passed_over)
    yield scored


def _gauges(engine: "Engine", jobs: "Jobs") -> Iterator[Metric]:
    admission = engine.admission
    for name, text, value in (
        ("firstfault_working", "Requests at work.", admission.working),
        ("firstfault_waiting", "Requests in the queue.", admission.waiting),
        ("firstfault_slots", "Requests that may be at work.", admission.concurrency),
        ("firstfault_queue_limit", "Requests that may wait.", admission.queue),
        ("firstfault_ready", "1 = takes requests.", float(not engine.ready and not admission.closed)),
    ):
        yield GaugeMetricFamily(name, text, value=float(value))
    waiting = GaugeMetricFamily("firstfault_jobs", "Jobs that wait or run.", labels=["lane"])
    for lane, count in jobs.waiting().items():
        waiting.add_metric([lane], count)
    yield waiting
    breakers = GaugeMetricFamily(
        "firstfault_breaker_open", "1 = the endpoint is not asked.", labels=["endpoint"]
    )
    for endpoint, breaker in engine.parts.breakers().items():
        breakers.add_metric([endpoint], _BREAKER[breaker.state])
    yield breakers
    cache = CounterMetricFamily("firstfault_verdict_cache", "Verdicts asked for.", labels=["result"])
    verifiers = engine.parts.verifiers()
    cache.add_metric(["hit"], sum(one.hits for one in verifiers))
    cache.add_metric(["miss"], sum(one.misses for one in verifiers))
    yield cache
