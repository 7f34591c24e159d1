"""Spans and metrics, as a collector receives them: decoded with the OTLP protobufs."""

import gzip
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.listening import listening

import firstfault
from firstfault.serve import genai
from firstfault.serve.telemetry import Telemetry
from firstfault.types import Trace


class Collector:
    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.url = ""


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            raw = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
            if self.path == "/v1/traces":
                spans = ExportTraceServiceRequest.FromString(raw)
                for resource in spans.resource_spans:
                    found.spans += [span for scope in resource.scope_spans for span in scope.spans]
            else:
                assert self.path == "/v1/metrics"
                metrics = ExportMetricsServiceRequest.FromString(raw)
                for resource in metrics.resource_metrics:
                    found.metrics |= {
                        one.name: one for scope in resource.scope_metrics for one in scope.metrics
                    }
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with listening(Handler) as found.url:
        yield found


@pytest.fixture(scope="module")
def trace(corpus_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    home = tmp_path_factory.mktemp("telemetry") / "home"
    shutil.copytree(corpus_home, home)
    with firstfault.open(home, settings={"generator.kind": "extractive"}) as app:
        return app.ask("What does a resident parking permit cost?")


def _attributes(span: Any) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes if one.value
    }


def test_spans_have_the_names_of_the_conventions(collector: Collector, trace: Trace) -> None:
    telemetry = Telemetry(collector.url)
    telemetry.observe(trace)
    telemetry.close()
    by_name = {span.name: span for span in collector.spans}
    root = by_name["invoke_workflow default"]
    chat = by_name["chat generate"]
    assert _attributes(root)[genai.TRACE_ID] == trace.id
    assert chat.parent_span_id == root.span_id
    assert chat.trace_id == root.trace_id
    found = _attributes(chat)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.response.model"] == "extractive"
    assert found["gen_ai.usage.output_tokens"] == 0
    assert found["gen_ai.response.time_to_first_chunk"] > 0
    stages = [_attributes(span).get(genai.STAGE) for span in collector.spans if span is not root]
    assert stages == [span.stage for span in trace.spans]
    verdicts = [event for event in by_name["stage cite"].events if event.name == "gen_ai.evaluation.result"]
    assert trace.answer is not None
    assert len(verdicts) == len(trace.answer.claims) > 0
    assert root.end_time_unix_nano - root.start_time_unix_nano == pytest.approx(trace.total_ms * 1e6, abs=1e3)


def test_metrics_have_the_names_of_the_conventions(collector: Collector, trace: Trace) -> None:
    telemetry = Telemetry(collector.url)
    telemetry.observe(trace)
    telemetry.close()
    assert set(collector.metrics) >= {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    assert collector.metrics["firstfault.stage.duration"].unit == "s"


@pytest.mark.parametrize("content", [False, True])
def test_content_is_sent_only_when_asked_for(collector: Collector, trace: Trace, content: bool) -> None:
    telemetry = Telemetry(collector.url, content=content)
    telemetry.observe(trace)
    telemetry.close()
    sent = "".join(str(span) for span in collector.spans)
    assert ("parking permit" in sent) is content


def test_a_collector_that_is_down_costs_only_its_data(trace: Trace, caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry("http://127.0.0.1:9")
    telemetry.observe(trace)
    telemetry.close()
    assert caplog.records
