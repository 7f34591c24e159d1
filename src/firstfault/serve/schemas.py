"""What the HTTP API takes: request bodies with their limits and an example of each."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from firstfault.answer.request import LONGEST_QUESTION

COLLECTION = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
Collection = Annotated[str, Field(pattern=COLLECTION, description="Which collection of the home.")]
Question = Annotated[str, Field(min_length=1, max_length=LONGEST_QUESTION)]
Where = Annotated[
    str | None,
    Field(max_length=4000, description='Metadata filter, e.g. kind = "function" and year >= 2020.'),
]
Timeout = Annotated[
    float | None,
    Field(ge=1, le=3600, description="Seconds for the whole request; serve.deadline_s is the most."),
]
DocumentId = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]
Scalar = str | bool | int | float


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class AskBody(Body):
    """A question."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"question": "What does math.gcd return?", "stream": False}]}
    )

    question: Question
    where: Where = None
    collection: Collection = "default"
    policy: Literal["annotate", "strip", "abstain"] | None = Field(
        default=None, description="Unsupported sentences: marked, removed, or the whole answer withheld."
    )
    shape: dict[str, Any] | None = Field(
        default=None, alias="schema", description="JSON schema that the answer must satisfy."
    )
    adapter: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        description="A released LoRA adapter to answer with, or one that the endpoint serves by this name.",
    )
    stream: bool = Field(default=False, description="Send the answer as server-sent events while it is made.")
    timeout_s: Timeout = None


class SearchBody(Body):
    """What to look for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": "greatest divisor", "limit": 5}]})

    question: Question
    where: Where = None
    collection: Collection = "default"
    limit: int = Field(default=10, ge=1, le=1000)
    exact: bool = Field(default=False, description="Exact dense search instead of the index.")
    timeout_s: Timeout = None


class ReplayBody(Body):
    """A recorded request, and what to change about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"trace_id": "20261122T150000000-0123456789", "changes": {"search.top_k": "8"}}]
        }
    )

    trace_id: str = Field(min_length=1, max_length=80)
    changes: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="`section.key` → value, as with --set."
    )
    where: Where = None
    timeout_s: Timeout = None


class DocumentBody(Body):
    """A document."""

    id: DocumentId
    title: str | None = Field(default=None, max_length=2000)
    text: str = Field(min_length=1)
    metadata: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)
    source: str | None = Field(default=None, max_length=2000, description="Where it came from, for people.")
    revision: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="Of a client that reads files and computes revisions itself. Leave it out otherwise.",
    )


class DocumentsBody(Body):
    """Documents to add or replace."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "documents": [
                        {
                            "id": "pumps.md",
                            "title": "Pumps",
                            "text": "The red pump costs 40 euros.",
                            "metadata": {"kind": "price"},
                        }
                    ]
                }
            ]
        }
    )

    documents: list[DocumentBody] = Field(min_length=1, max_length=10_000)
    collection: Collection = "default"


class DocumentText(Body):
    """A document whose id stands in the address."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "Pumps", "text": "The red pump costs 40 euros."}]}
    )

    title: str | None = Field(default=None, max_length=2000)
    text: str = Field(min_length=1)
    metadata: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)


class DeleteBody(Body):
    """Documents to retire."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": ["pumps.md"]}]})

    ids: list[DocumentId] = Field(min_length=1, max_length=10_000)
    collection: Collection = "default"


class EvaluateBody(Body):
    """Cases to run."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "cases": [
                        {
                            "id": "1",
                            "question": "What does the red pump cost?",
                            "evidence": [{"document": "pumps.md", "quote": "costs 40 euros"}],
                        }
                    ],
                    "generation": False,
                }
            ]
        }
    )

    cases: list[dict[str, Any]] = Field(min_length=1, max_length=10_000)
    collection: Collection = "default"
    source: str | None = Field(default=None, max_length=500)
    generation: bool = True


class DiagnoseBody(Body):
    """What to diagnose: a run (the newest without any), one request, or the requests of a span of time."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"run": "last", "budget": 10}]})

    run: str | None = Field(default=None, max_length=80)
    trace: str | None = Field(default=None, max_length=80)
    since: str | None = Field(
        default=None, max_length=20, description="The requests of the last 30m, 1h, 7d."
    )
    baseline: str | None = Field(
        default=None, max_length=80, description="With run: a run whose latencies are the usual ones."
    )
    collection: Collection = "default"
    budget: int | None = Field(default=None, ge=0, le=10_000)


class DrillBody(Body):
    """What to break in a copy of the application; the home itself is only read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"faults": ["flood"], "most_cases": 40}]})

    faults: list[Annotated[str, Field(max_length=80)]] = Field(
        default_factory=list, max_length=200, description="Names; all of the development set without."
    )
    run: str = Field(default="last", max_length=80, description="The run whose cases are used.")
    most_cases: int = Field(default=40, ge=4, le=1000)
    severity: float | None = Field(default=None, ge=0.01, le=1.0, description="Each fault's own without.")
    seed: int = Field(default=0, ge=0, le=2**31)
    collection: Collection = "default"


class FailureBody(Body):
    """A source that could not be read."""

    source: str = Field(min_length=1, max_length=2000)
    reason: str = Field(min_length=1, max_length=2000)
    document_id: DocumentId | None = None
    stale: int = Field(default=0, ge=0, le=2**31)


class FailuresBody(Body):
    """Sources that could not be read, and sources that no longer matter."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"failures": [{"source": "a.pdf", "reason": "It is encrypted."}]}]}
    )

    failures: list[FailureBody] = Field(default_factory=list, max_length=1000)
    forget: list[str] = Field(default_factory=list, max_length=100_000)
    collection: Collection = "default"


class GcBody(Body):
    """How much to keep."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"keep_days": 30}]})

    keep_days: int | None = Field(default=None, ge=0, le=36500, description="trace.keep_days by default.")
    collection: Collection = "default"


class FixBody(Body):
    """A run to repair; the newest without an id."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"run": "last", "budget": 20}]})

    run: str | None = Field(default=None, max_length=80)
    collection: Collection = "default"
    budget: int | None = Field(default=None, ge=0, le=10_000)


AdapterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", description="Of an adapter.")]


class ReleaseBody(Body):
    """A training run whose adapter is to be released."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"run": "last", "name": "tickets"}]})

    run: str = Field(min_length=1, max_length=80, description="Its id, the beginning of it, or `last`.")
    name: AdapterName
    licence: str = Field(default="Not stated.", max_length=2000, description="Of the data, for the card.")


class RollbackBody(Body):
    """The adapter that is to be what it was before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "tickets"}]})

    name: AdapterName


class FeedbackBody(Body):
    """What a user thought of an answer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"trace_id": "20261122T150000000-0123456789", "verdict": "down"}]}
    )

    trace_id: str = Field(min_length=1, max_length=80)
    verdict: Literal["up", "down"]
    note: str = Field(default="", max_length=4000)
