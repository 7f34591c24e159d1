"""Faults of generation, citation and format: a model behind an endpoint that misbehaves."""

from collections.abc import Callable, Iterator

from firstfault.drill.fault import Fault, FaultSet
from firstfault.drill.library.retrieval import SLOW_FACTOR
from firstfault.drill.sandbox import Sandbox
from firstfault.stages import Stage

_RATE = "share of the questions that are hit"


def _plays(name: str) -> Callable[[Sandbox, float], None]:
    def inject(sandbox: Sandbox, severity: float) -> None:
        sandbox.play(name, severity)

    return inject


def _hangs(sandbox: Sandbox, severity: float) -> None:
    sandbox.set(generator__timeout_s=1)
    sandbox.play("hangs", severity)


def _slow_first_token(sandbox: Sandbox, severity: float) -> None:
    budget = (sandbox.settings.latency.first_token_ms or 5000.0) / 1000
    sandbox.play("slow_first_token", delay_s=SLOW_FACTOR * severity * budget)


def _slow_stream(sandbox: Sandbox, severity: float) -> None:
    budget = (sandbox.settings.latency.generate_ms or 5000.0) / 1000
    sandbox.play("slow_stream", delay_s=SLOW_FACTOR * severity * budget)


def _few_tokens(sandbox: Sandbox, severity: float) -> None:
    """Of a value that is cut off, the retries double the limit: it must be far too small to stay so."""
    sandbox.set(format__max_tokens=max(8, round(24 * (1 - severity))))


_GENERATE: tuple[tuple[str, str, str, float, FaultSet], ...] = (
    ("ignores_context", "ignored_context", "answers from its own imagination", 0.5, "development"),
    (
        "contradicts_context",
        "contradicts_context",
        "states other values than the passages",
        0.5,
        "development",
    ),
    ("stale_knowledge", "contradicts_context", "states values as they were years ago", 0.7, "development"),
    ("always_abstains", "wrong_abstention", "abstains though the passages answer", 0.5, "development"),
    ("never_abstains", "should_have_abstained", "invents where it should abstain", 1.0, "development"),
    ("resets", "request_failed", "breaks its replies off", 0.3, "development"),
    ("refuses_in_own_words", "wrong_abstention", "refuses in words of its own", 0.5, "blind"),
    (
        "answers_beside_the_question",
        "should_have_abstained",
        "repeats any passage where it should abstain",
        1.0,
        "blind",
    ),
    ("server_errors", "request_failed", "answers with status 500", 0.2, "blind"),
)
_CITE: tuple[tuple[str, str, str, float, FaultSet], ...] = (
    ("fabricated_citations", "fabricated_citation", "cites passages that do not exist", 0.5, "development"),
    (
        "shifted_citations",
        "misattributed_citation",
        "cites the passage after the right one",
        0.5,
        "development",
    ),
    (
        "padded_citations",
        "misattributed_citation",
        "cites every passage for every sentence",
        0.5,
        "development",
    ),
    ("missing_citations", "missing_citation", "cites nothing", 0.5, "development"),
)
_FORMAT: tuple[tuple[str, str, str, float, FaultSet], ...] = (
    ("invalid_json", "invalid_json", "writes a list with asterisks in the place of JSON", 0.3, "development"),
    (
        "prose_around_json",
        "invalid_json",
        "wraps the JSON in a sentence and a code fence",
        0.5,
        "development",
    ),
    ("truncated_reply", "truncated_output", "stops in the middle of the JSON", 0.3, "development"),
    ("wrong_types", "schema_violation", "writes lists for texts and texts for numbers", 0.5, "development"),
    ("extra_keys", "schema_violation", "adds keys that the schema forbids", 0.5, "development"),
    ("missing_keys", "schema_violation", "leaves required keys out", 0.5, "blind"),
)


def _declared() -> Iterator[Fault]:
    for stage, rows, scene in (
        (Stage.GENERATE, _GENERATE, "plain"),
        (Stage.CITE, _CITE, "plain"),
        (Stage.FORMAT, _FORMAT, "structured"),
    ):
        for name, cause, summary, severity, fault_set in rows:
            yield Fault(
                name=name,
                stage=stage,
                cause=cause,
                summary=f"the model {summary}",
                dial=_RATE,
                inject=_plays(name),
                severity=severity,
                scene=scene,
                answers=True,
                set=fault_set,
            )


FAULTS = (
    *_declared(),
    Fault(
        name="rarely_invalid_json",
        stage=Stage.FORMAT,
        cause="invalid_json",
        summary="the model writes a list in the place of JSON, one time in twenty",
        dial=_RATE,
        inject=_plays("invalid_json"),
        severity=0.05,
        scene="structured",
        answers=True,
    ),
    Fault(
        name="timeouts",
        stage=Stage.GENERATE,
        cause="over_budget",
        summary="the endpoint accepts requests and never answers",
        dial=_RATE,
        inject=_hangs,
        answers=True,
        most_cases=12,
    ),
    Fault(
        name="slow_first_token",
        stage=Stage.GENERATE,
        cause="over_budget",
        summary="the first token takes long to come",
        dial="delay, in quarters of the budget",
        inject=_slow_first_token,
        answers=True,
        most_cases=12,
    ),
    Fault(
        name="slow_stream",
        stage=Stage.GENERATE,
        cause="over_budget",
        summary="the first token comes in time, the others crawl",
        dial="pauses, in quarters of the budget",
        inject=_slow_stream,
        answers=True,
        most_cases=12,
        set="blind",
    ),
    Fault(
        name="few_tokens",
        stage=Stage.FORMAT,
        cause="truncated_output",
        summary="format.max_tokens is far too small for the JSON",
        dial="format.max_tokens from 24 down to 8",
        inject=_few_tokens,
        severity=0.8,
        scene="structured",
        answers=True,
        set="blind",
    ),
)
