"""The data that travels: documents in, hits and context between, answers and verdicts out.

Every type is frozen. Offsets are in characters (Unicode code points), half-open: `text[start:end]`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Scalar = str | int | float | bool
"""A metadata value that can be filtered on; a list of them means "any of these"."""

Metadata = Mapping[str, Scalar | list[Scalar]]

Status = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The one shape for checks: citations, schemas, dataset findings, guards, gates and alerts."""

    name: str
    """What was checked, e.g. `support` or `quote`."""
    status: Status
    """`ok`, `warn` (uncertain), `fail`, or `unknown` (could not be decided; `reason` says why)."""
    measured: float | str | None = None
    """What was seen; None with a reason when nothing could be measured. Never NaN."""
    limit: float | str | None = None
    """What it was held against."""
    reason: str = ""
    """Why this status, in one sentence a tired person understands."""
    remedy: str = ""
    """What to do next, when there is something to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One named reason for or against a claim, with what it saw."""

    name: str
    """`number_mismatch`, `unseen_entity`, `negation_conflict`, `best_passage_recall`, ..."""
    value: float
    """0 to 1. For conflicts 1 = conflict found; for recalls the share that was found."""
    seen: str
    """What was seen, quoted from the claim and the context, e.g. "claim says 42, context says 24"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Where in the given contexts the support (or the contradiction) stands."""

    context: int
    """Position in the list of contexts that was given."""
    start: int
    end: int
    text: str
    """Exactly `contexts[context][start:end]`."""


SupportLabel = Literal["supported", "uncertain", "unsupported", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Support(Verdict):
    """The verdict on a claim: does the context support it?"""

    label: SupportLabel
    """The status in the words of the task: ok = supported, warn = uncertain, fail = unsupported."""
    score: float | None
    """Calibrated probability of support, 0 to 1; None when unknown. Also `measured`."""
    evidence: Evidence | None = None
    """The best span found for the claim, if any."""
    signals: tuple[Signal, ...] = ()
    """Named signals behind the score, each with what it saw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text with a name, as read from a source and before it is stored."""

    id: str
    """Unique in the collection: the path relative to the ingested folder, or the id given in JSONL."""
    title: str
    text: str
    """Extracted text; every offset in Firstfault points into this string."""
    source: str
    """Where it came from: a path, or `path:line` for JSONL."""
    revision: str
    """SHA-256 (hex) of what it was made from: source bytes, metadata and chunking settings.
    A stored document with the same id and revision is unchanged."""
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A span of a document, the unit that is embedded, found, packed and cited."""

    id: str
    """`{document_id}@{first 8 hex digits of the revision}:{start}-{end}`."""
    document_id: str
    document_title: str
    start: int
    end: int
    text: str
    """Exactly `document.text[start:end]`."""
    metadata: Metadata = field(default_factory=dict)
    """The document's metadata; filtered on, never embedded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScore:
    """Where one arm put a candidate."""

    rank: int
    """From 1."""
    score: float
    """In the arm's own unit: cosine, BM25, fused 0 to 1, late-interaction similarity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A candidate chunk with its rank and score from every arm that saw it."""

    chunk: Chunk
    arms: Mapping[str, ArmScore]
    """Keys `dense`, `bm25`, `fuse`, `rerank`; an arm that did not return the chunk is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A chunk as it stands in the prompt."""

    number: int
    """From 1: what citation marks `[n]` refer to."""
    chunk: Chunk
    tokens: int
    """Tokens that the passage takes in the prompt, by the generator's own count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What was packed for the generator."""

    passages: tuple[Passage, ...]
    tokens: int
    """Tokens of all passages together."""
    budget: int
    """Tokens that were allowed."""
    dropped: tuple[str, ...] = ()
    """Ids of the chunks that were ranked high enough but did not fit, best first."""
    clipped: tuple[str, ...] = ()
    """Ids of the chunks that were cut to fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A numbered reference from the answer into a stored document."""

    number: int
    document_id: str
    document_title: str
    chunk_id: str
    cited_text: str
    """Exactly `document.text[start_char_index:end_char_index]` of the stored document."""
    start_char_index: int
    end_char_index: int
    verdict: Support


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence of the answer with its citations and verdict."""

    text: str
    """The sentence without citation marks."""
    start: int
    end: int
    """Offsets into `Answer.text`."""
    citations: tuple[int, ...]
    verdict: Support
    path: str | None = None
    """In a structured answer, the JSON pointer of the value that says it; None in free text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the user gets."""

    text: str
    """The answer as shown, citation marks included, after the policy was applied."""
    abstained: bool
    """True when the answer is that the sources do not say."""
    claims: tuple[Claim, ...]
    citations: tuple[Citation, ...]
    removed: tuple[Claim, ...] = ()
    """What the policy took out: sentences without support, with their verdicts. Offsets into `raw`."""
    raw: str = ""
    """The generator's own words, before citations were checked and the policy applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How long a stage took and what it noted."""

    stage: str
    start_ms: float
    """From the start of the request."""
    duration_ms: float
    status: Literal["ok", "error"] = "ok"
    attributes: Mapping[str, Scalar | None] = field(default_factory=dict)
    events: tuple["Event", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth knowing that happened inside a stage: a fallback, a retry, a flag."""

    name: str
    at_ms: float
    attributes: Mapping[str, Scalar | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedDocument:
    """A document with the places where it is cut."""

    document: Document
    spans: tuple[tuple[int, int], ...]
    """Character offsets of its chunks, in order; they may overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A chunk as an arm returned it, before its text is fetched."""

    key: int
    """The chunk's number in the catalog, also its point id in the index."""
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceHit:
    """A candidate as a trace keeps it: the text stays in the catalog, which never forgets it early."""

    key: int
    """The chunk's number in the catalog."""
    chunk_id: str
    document_id: str
    arms: Mapping[str, ArmScore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What the generator was given and what it gave back."""

    model: str
    fingerprint: str
    """Identifies weights and settings of the runtime; equal fingerprints answer equally."""
    adapter: str | None
    """As the user named it; None = the base model."""
    prompt: tuple[Message, ...]
    rendered: str | None
    """The exact text that the model saw; None when only the endpoint knows its template."""
    grammar: str | None
    """The grammar, or at an endpoint the `response_format`, that bound the output; None = nothing did."""
    raw: str
    finish_reason: str
    """`stop`, `length`, or what the endpoint said."""
    prompt_tokens: int | None
    completion_tokens: int | None
    """None where the endpoint did not count."""
    adapter_digest: str | None = None
    """SHA-256 of the adapter's file; None without an adapter, or where only the endpoint has it."""
    adapter_release: int | None = None
    """Number of the release that the adapter's name then pointed to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatProblem:
    """One rule that an output breaks."""

    rule: str
    """A keyword of JSON Schema (`type`, `required`, `enum`, ...), or what keeps the text from being plain
    JSON: `invalid_json`, `truncated_output`, `duplicate_key`, `code_fence`, `trailing_comma`, ..."""
    path: str
    """JSON pointer (RFC 6901) of the value; empty = the whole output."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatAttempt:
    """One step towards an output that satisfies its schema, and what it cost."""

    kind: Literal["generated", "repaired", "retried"]
    raw: str
    """The text of this step: the generator's own words, or what repair made of them."""
    problems: tuple[FormatProblem, ...]
    """What is wrong with it; empty = valid."""
    finish_reason: str
    """Of the generation that it stems from."""
    duration_ms: float
    prompt_tokens: int | None
    completion_tokens: int | None
    """None where the endpoint did not count; 0 for a repair, which asks nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formatted:
    """How an output came to satisfy its schema, or which rule it broke at last."""

    schema: Mapping[str, Any]
    valid: bool
    """Whether `value` satisfies the schema. Never True for an output that was not validated."""
    first_try: bool
    """Whether the generator's first output was valid JSON as it stood; False with `valid` is drift."""
    value: Any
    """The parsed output; None when not valid."""
    attempts: tuple[FormatAttempt, ...]
    """In order: generated, then repaired and retried as it needed."""
    constrained: bool
    """Whether the runtime held the first generation to the schema, or to as much of it as it can express."""
    cause: str | None
    """When not valid: `invalid_json`, `schema_violation` or `truncated_output`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Everything about one request: enough to find the first fault and to replay from any stage."""

    id: str
    at: str
    """When the request began, ISO 8601 in UTC."""
    collection: str
    question: str
    where: str | None
    """The metadata filter, as written."""
    corpus_version: int
    """The corpus clock at the time; a replay sees the corpus as it was then."""
    settings: Mapping[str, Mapping[str, Scalar | None]]
    fingerprint: str
    """Of the settings."""
    embedder: str
    """Fingerprint of the embedder."""
    verifier: str
    """Name and version of the verifier."""
    hits: tuple[TraceHit, ...] = ()
    """Every candidate, in final order, with rank and score from every arm."""
    selected: int = 0
    """How many of the hits, from the first, went on to packing."""
    context: Context | None = None
    generation: Generation | None = None
    answer: Answer | None = None
    spans: tuple[Span, ...] = ()
    time_to_first_token_ms: float | None = None
    """From the start of the request; None when nothing was generated."""
    total_ms: float = 0.0
    replay_of: str | None = None
    """The trace that this one replays."""
    replayed_from: str | None = None
    """The first stage that was run again; results of earlier stages are those of the original."""
    error: str | None = None
    """What ended the request, if it failed."""
    error_kind: str | None = None
    """The class of that error, e.g. `DeadlineError`."""
    case: str | None = None
    """The evaluation case that asked; None for a question of a user."""
    schema: Mapping[str, Any] | None = None
    """JSON schema that the answer had to satisfy; None = free text."""
    format: Formatted | None = None
    """How it came to satisfy the schema; None for free text, an abstention, or when nothing was generated."""
    key: str | None = None
    """Id of the API key that asked; None where nobody needed one."""

    def timings_ms(self) -> dict[str, float | None]:
        """Milliseconds per stage, then `time_to_first_token` and `total`."""
        timings: dict[str, float | None] = {}
        for span in self.spans:
            timings[span.stage] = round((timings.get(span.stage) or 0.0) + span.duration_ms, 3)
        timings["time_to_first_token"] = self.time_to_first_token_ms
        timings["total"] = self.total_ms
        return timings

    def events(self) -> list[tuple[str, Event]]:
        """Every event with the stage in which it happened, in order."""
        return [(span.stage, event) for span in self.spans for event in span.events]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceUnit:
    """One piece of gold evidence: what must be found for a case to be answerable."""

    document: str
    """Id of the document that holds it."""
    quote: str | None = None
    """The words that matter, white space aside as they stand in the document; None = any part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A question with what is known about its answer."""

    id: str
    question: str
    answer: str | None = None
    """The expected answer, in any wording."""
    answerable: bool | None = None
    """Whether the documents hold the answer; None = not known."""
    evidence: tuple[EvidenceUnit, ...] = ()
    where: str | None = None
    """Metadata filter to ask with."""
    schema: Mapping[str, Any] | None = None
    """JSON schema that the answer must satisfy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One metric on one case."""

    value: float | None
    """None when it could not be measured. Never NaN."""
    reason: str = ""
    """Why there is no value."""


EvidenceState = Literal["found", "not_in_context", "missing_document", "missing_quote"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one case."""

    case_id: str
    question: str
    trace_id: str | None
    """The recorded request; None when it failed before one was recorded."""
    answer: str | None
    """As shown; None when none was generated."""
    abstained: bool | None
    evidence: tuple[EvidenceState, ...]
    """What became of each unit of gold evidence, in the order of the case."""
    scores: Mapping[str, Score]
    timings_ms: Mapping[str, float]
    """Per stage, then `time_to_first_token` and `total`."""
    error: str | None = None
    """What ended the request, if it failed."""
    case: Case | None = None
    """The case itself, so that a run can be diagnosed without its file; None in runs of older versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric over the cases of a run."""

    value: float | None
    """None with a reason when no case had a value. Never NaN."""
    ci_low: float | None
    ci_high: float | None
    """95 % interval; None when too few values allow one."""
    n: int
    """Cases that had a value."""
    status: Status
    """`fail` = beyond its limit, `warn` = within it but the interval reaches beyond, `unknown` = no value
    or no limit."""
    reason: str
    limit: float | None = None
    """From the settings; None = not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An evaluation: cases, the settings they ran under, and what was measured."""

    id: str
    at: str
    """When it began, ISO 8601 in UTC."""
    cases: str
    """Where the cases came from."""
    cases_hash: str
    """SHA-256 of the cases; equal hashes are equal cases."""
    collection: str
    corpus_version: int
    fingerprint: str
    """Of everything that decides the numbers: settings, embedder, verifier."""
    settings: Mapping[str, Mapping[str, Scalar | None]]
    generation: bool
    """Whether answers were generated, or only contexts assembled."""
    total: int
    """Cases to run."""
    done: int = 0
    """Cases that have a result."""
    finished: bool = False
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    """By name; empty until the run is finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What to do about a cause."""

    summary: str
    """One sentence."""
    patch: Mapping[str, Scalar] = field(default_factory=dict)
    """`section.key` → value: the settings to change; empty when no setting repairs it."""
    command: str | None = None
    """What to run, where a command repairs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """The first fault of one case."""

    case_id: str
    """Of the case; the trace's own id where there is no case."""
    trace_id: str | None
    stage: str
    cause: str
    verified: bool
    """Whether an intervention recovered the case; otherwise the cause is a hypothesis."""
    evidence: str
    """What the probe saw, in a sentence that a person can check."""
    document: str | None = None
    """Id of the document that is missing or stale, where that is the fault."""
    patch: Mapping[str, Scalar] = field(default_factory=dict)
    """The settings that recovered the case, where settings did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A case that failed and whose first fault the probes could not name."""

    case_id: str
    trace_id: str | None
    reason: str
    next_probe: str
    """What would decide it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A cause with the cases it explains."""

    stage: str
    cause: str
    cases: tuple[str, ...]
    """Ids of the cases whose first fault this is."""
    share: float
    """Of all cases that were looked at."""
    ci_low: float
    ci_high: float
    """95 % interval of the share (Wilson)."""
    verified: int
    """In how many of the cases an intervention recovered the case."""
    evidence: str
    """Of the example."""
    example: str | None
    """A trace to look at."""
    remedy: Remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A question of the decision tree with what was measured there."""

    stage: str
    question: str
    measured: str
    """The number that answers it, in words."""
    examined: int
    """Cases that reached this question."""
    lost: int
    """Cases whose first fault is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one component took over the requests that were looked at."""

    component: str
    """A stage, `first_token` (from the start of generation to the first text) or `total`."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    share: float
    """Of the median request."""
    budget_ms: float | None
    """From the settings; None = not judged."""
    over: int
    """Requests that took longer than the budget."""
    baseline_ms: float | None = None
    """Median of the run that it is compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What broke first, and how that is known."""

    scope: str
    """What was looked at: a run, a trace, a window."""
    run_id: str | None = None
    """The run, where it was one."""
    trace_id: str | None = None
    """The request, where it was a single one."""
    healthy: bool
    """Nothing beyond what is tolerated; False also where only `unknown` cases are left beyond it."""
    primary: Finding | None
    findings: tuple[Finding, ...]
    """Beyond what is tolerated, the primary one first, then by number of cases."""
    scattered: tuple[Finding, ...]
    """Single cases within what the playbook tolerates: no fault of the application."""
    unknown: tuple[Undecided, ...]
    flaky: tuple[str, ...]
    """Cases whose answer changed between identical runs; blamed on no stage."""
    cases: int
    """Cases that were looked at."""
    failing: int
    """Cases that failed in any way."""
    path: tuple[Node, ...]
    """The decision tree in the order of the stages."""
    latency: tuple[Timing, ...]
    """Every component that was timed, in the order of the stages, then the total."""
    model_calls: int
    """Generations that the interventions asked for."""
    next_command: str
    """What to run next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffect:
    """What a patch did to a metric that it was not meant for."""

    metric: str
    before: float
    after: float
    delta: float
    p_value: float
    """Of a paired permutation test, adjusted for the number of metrics (Holm)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A patch that was tried on cases it was not chosen on."""

    stage: str
    cause: str
    patch: Mapping[str, Scalar]
    metric: str
    """What the patch was to improve."""
    before: float
    after: float
    delta: float
    """Gain in the direction of better, on the holdout."""
    ci_low: float | None
    ci_high: float | None
    p_value: float
    """Of a paired permutation test on the holdout, adjusted for the number of trials (Holm)."""
    n: int
    """Cases of the holdout."""
    verified: bool
    """Proven: better on the holdout, and no other metric significantly worse."""
    reason: str
    """Why it is verified, or why not."""
    latency_before_ms: float | None
    latency_after_ms: float | None
    """Median of the whole request."""
    side_effects: tuple[SideEffect, ...] = ()
    repair: str | None = None
    """What was made anew beside the patch: `rechunk`, `reembed` or `reindex`."""
