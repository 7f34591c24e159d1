"""Settings: one `firstfault.toml`, environment overrides, and where each value came from.

In: a home, an optional TOML file, the environment (`FIRSTFAULT__SECTION__KEY`) and explicit overrides.
Out: a frozen `Config`, and for every key its origin. Unknown keys are refused with a suggestion.
"""

import hashlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from firstfault.errors import ConfigError, did_you_mean

ENVIRONMENT_PREFIX = "FIRSTFAULT__"
DEFAULT_HOME = Path(".firstfault")
DEFAULT_FILE = Path("firstfault.toml")


class Section(BaseModel):
    """A table of the configuration file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class EmbedderConfig(Section):
    """What turns text into vectors."""

    kind: Literal["onnx", "openai"] = "onnx"
    """`onnx`: in this process; `openai`: any OpenAI-compatible /embeddings endpoint."""
    model: str = "all-MiniLM-L6-v2"
    """A known model, a folder with an ONNX graph and tokenizer.json, or the endpoint's model name."""
    base_url: str | None = None
    """Endpoint for kind = "openai", e.g. http://127.0.0.1:8000/v1."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key, if one is needed. The key is never stored."""
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 = all cores."""


class IndexConfig(Section):
    """The vector engine."""

    kind: Literal["edge", "qdrant"] = "edge"
    """`edge`: Qdrant's engine in this process; `qdrant`: a cluster."""
    hnsw_m: int = Field(default=32, ge=4, le=128)
    """Edges per node of the HNSW graph."""
    hnsw_ef_construct: int = Field(default=200, ge=16)
    """Candidates considered while the graph is built."""
    hnsw_ef: int = Field(default=256, ge=8)
    """Candidates considered while the graph is searched; more = better recall, slower."""
    language: str | None = None
    """Stemmer of the BM25 arm, a Snowball language or "none"; fixed when the collection is made, then english
    where nothing is set."""
    url: str | None = None
    """For kind = "qdrant": the cluster, e.g. http://127.0.0.1:6333."""
    api_key_env: str = ""
    """Name of the environment variable that holds the cluster's key, if one is needed."""
    prefix: str = Field(default="firstfault", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    """First part of the collection's name in the cluster; the second is unique to each collection."""
    shards: int = Field(default=1, ge=1, le=1024)
    """Parts of a new collection in the cluster, spread over its nodes; with shard_key, of each tenant."""
    shard_key: str | None = None
    """For kind = "qdrant": the metadata field that names the tenant. Each tenant then has shards of its own,
    and a search that filters on the field asks only those. For tens of tenants, not thousands."""
    replication: int = Field(default=1, ge=1, le=16)
    """Copies of each part."""
    write_consistency: int = Field(default=1, ge=1, le=16)
    """Copies that must have a write before it is acknowledged."""
    on_disk: bool = False
    """Keep vectors and payload of a new collection in the cluster on disk, read through the page cache."""
    quantization: Literal["none", "scalar", "binary"] = "none"
    """Small copies of the vectors, searched in memory: `scalar` takes a quarter, `binary` a 32nd; the best
    candidates are scored anew with the full vectors."""


class ChunkingConfig(Section):
    """How documents are cut."""

    kind: Literal["semantic", "recursive"] = "semantic"
    """`semantic`: cut where the topic changes; `recursive`: by paragraphs, sentences, words."""
    max_tokens: int = Field(default=220, ge=16, le=4096)
    """Upper bound of a chunk, in the embedder's tokens."""
    overlap_tokens: int = Field(default=30, ge=0)
    """Whole sentences up to this many tokens are repeated from the chunk before."""


class SearchConfig(Section):
    """How candidates are found and ranked."""

    enabled: bool = True
    """Whether answers rest on documents; false asks the generator alone, and nothing can be cited."""
    candidates: int = Field(default=50, ge=1, le=1000)
    """How many each arm (dense, BM25) returns."""
    fusion: Literal["minmax", "rrf"] = "minmax"
    """How the arms are merged: min-max normalised scores, or reciprocal ranks."""
    dense_weight: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the dense arm; BM25 gets the rest."""
    rerank: Literal["late", "cross", "none"] = "late"
    """`late`: MaxSim over stored token vectors; `cross`: a cross-encoder."""
    rerank_depth: int = Field(default=30, ge=1, le=200)
    """How many fused candidates are reranked."""
    rerank_weight: float = Field(default=0.5, ge=0.0)
    """Weight of the min-max normalised rerank score, added to the fused score."""
    rerank_model: str | None = None
    """For rerank = "cross": a folder with an ONNX cross-encoder and tokenizer.json."""
    top_k: int = Field(default=5, ge=1, le=100)
    """How many chunks go on to packing."""


class PackConfig(Section):
    """What goes into the prompt."""

    budget_tokens: int = Field(default=900, ge=64)
    """Upper bound of all passages together, in the generator's tokens."""


class EndpointConfig(Section):
    """One of several endpoints that serve the generator's model."""

    url: str
    """For example http://10.0.0.5:8000/v1."""
    weight: int = Field(default=1, ge=1, le=1000)
    """Its share of the requests, against the other weights."""


def _read_endpoints(given: Any) -> Any:
    """Endpoints written in one line, as --set, the environment and traces have them."""
    if not isinstance(given, str):
        return given
    parts = [part.split() for part in given.split(",") if part.strip()]
    return [dict(zip(("url", "weight"), part, strict=False)) for part in parts]


def _write_endpoints(endpoints: tuple[EndpointConfig, ...]) -> str:
    return ", ".join(f"{one.url} {one.weight}" for one in endpoints)


Endpoints = Annotated[
    tuple[EndpointConfig, ...],
    BeforeValidator(_read_endpoints),
    PlainSerializer(_write_endpoints, return_type=str),
]


class GeneratorConfig(Section):
    """What writes the answer."""

    kind: Literal["llama", "openai", "extractive"] = "llama"
    """`llama`: llama.cpp in this process; `openai`: an endpoint; `extractive`: verbatim sentences."""
    model: str = "SmolLM2-135M-Instruct"
    """A known model, a path to a GGUF file, or the endpoint's model name."""
    adapter: str | None = None
    """LoRA adapter on top of the model: the name of a release of the home, the path of a GGUF adapter, or for
    kind = "openai" the name by which the endpoint serves it. None = the base model."""
    base_url: str | None = None
    """Endpoint for kind = "openai"."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key, if one is needed."""
    endpoints: Endpoints = ()
    """Instead of base_url: several that serve the model, as [[generator.endpoints]] with url and weight, or
    in one line: "http://a:8000/v1 2, http://b:8000/v1 1"."""
    hedge_after_s: float | None = Field(default=None, gt=0)
    """With several endpoints: a request without a first word after this time is asked of a second one too."""
    max_tokens: int = Field(default=96, ge=1)
    """Upper bound of the answer."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 = always the likeliest token: the same answer twice."""
    seed: int = Field(default=0, ge=0)
    """Seed for sampling."""
    context_window: int = Field(default=2048, ge=256)
    """Tokens of prompt and answer together."""
    timeout_s: float = Field(default=120.0, gt=0)
    """A generation that takes longer is an error."""
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 = all cores."""

    @property
    def where(self) -> str:
        """The endpoint, or every one of several."""
        return ", ".join(one.url for one in self.endpoints) or self.base_url or ""


class AnswerConfig(Section):
    """What happens to sentences that the sources do not support."""

    policy: Literal["annotate", "strip", "abstain"] = "annotate"
    """`annotate`: shown and marked; `strip`: removed; `abstain`: the whole answer is withheld."""
    min_relevance: float = Field(default=0.25, ge=-1.0, le=1.0)
    """Least cosine similarity of the nearest passage; below it nothing is generated: the answer is that
    the sources do not say."""


class FormatConfig(Section):
    """Answers that must satisfy a JSON schema."""

    constrain: bool = True
    """Hold the runtime to the schema while it writes, as far as it can express it."""
    repair: bool = True
    """Mend how a value is written (fences, trailing commas, "42" for 42), never what it says."""
    retries: int = Field(default=2, ge=0, le=5)
    """How often the generator is asked again, with what was wrong, when repair does not help."""
    max_tokens: int = Field(default=512, ge=8)
    """Upper bound of the first reply; one that is cut off is tried again with twice as much."""
    schema_tokens: int = Field(default=400, ge=0)
    """The schema is shown to the generator when it takes no more than this; else an outline of it."""
    max_string: int = Field(default=400, ge=0)
    """Constrained: characters of a string to which the schema sets no limit; 0 = no limit."""
    max_items: int = Field(default=12, ge=0)
    """Constrained: items of a list to which the schema sets no limit; 0 = no limit."""


class VerifierConfig(Section):
    """What decides whether a passage supports a sentence."""

    kind: Literal["local", "openai", "hub"] = "local"
    """`local`: in this process; `openai`: a judge model at an endpoint; `hub`: a named entailment model."""
    model: str | None = None
    """For kind = "openai" or "hub"."""
    base_url: str | None = None
    """Endpoint for kind = "openai"."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key, if one is needed."""


class TraceConfig(Section):
    """What is kept of each request."""

    keep_days: int = Field(default=30, ge=1)
    """`gc` drops traces, and retired chunks that no kept trace can need, after this."""
    queue: int = Field(default=1024, ge=1)
    """Traces waiting to be written; when full, the next request waits: none is dropped."""


class EvaluateConfig(Section):
    """How runs over cases are judged. A limit that is not set is not judged."""

    context_recall: float | None = Field(default=0.5, ge=0, le=1)
    """Least share of the gold evidence that must reach the prompt."""
    context_precision: float | None = Field(default=None, ge=0, le=1)
    """Least share of the prompt's passages that hold gold evidence; it cannot exceed evidence / top_k."""
    faithfulness: float | None = Field(default=0.8, ge=0, le=1)
    """Least share of sentences that the passages support."""
    answer_correctness: float | None = Field(default=None, ge=0, le=1)
    """Least agreement with the expected answers."""
    citation_recall: float | None = Field(default=None, ge=0, le=1)
    """Least share of sentences that their citations support."""
    citation_precision: float | None = Field(default=None, ge=0, le=1)
    """Least share of citations that are needed and hold."""
    abstention_accuracy: float | None = Field(default=None, ge=0, le=1)
    """Least share of cases that are rightly answered or rightly not."""
    format_validity: float | None = Field(default=0.99, ge=0, le=1)
    """Least share of answers that satisfy their schema."""
    hallucination_rate: float | None = Field(default=0.2, ge=0, le=1)
    """Greatest share of sentences that neither passages nor the expected answer support."""
    error_rate: float | None = Field(default=0.0, ge=0, le=1)
    """Greatest share of cases whose request fails."""
    latency_p95_ms: float | None = Field(default=None, gt=0)
    """Greatest 95th percentile of the whole request, in milliseconds."""
    parallel: int = Field(default=4, ge=1, le=64)
    """Requests at a time to a generator behind an endpoint; embedded models take one at a time."""


class LatencyConfig(Section):
    """Latency budgets in milliseconds. A stage that takes longer in more than a tenth of the requests is over
    budget; what is not set is not judged."""

    embed_ms: float | None = Field(default=500.0, gt=0)
    """The question's vector."""
    index_ms: float | None = Field(default=500.0, gt=0)
    """Dense search and BM25."""
    fuse_ms: float | None = Field(default=500.0, gt=0)
    """Merging the arms and reading the candidates."""
    rerank_ms: float | None = Field(default=1000.0, gt=0)
    """Reranking."""
    pack_ms: float | None = Field(default=500.0, gt=0)
    """Counting tokens and packing."""
    first_token_ms: float | None = Field(default=5000.0, gt=0)
    """From the end of packing to the first generated text: the generator's prefill."""
    generate_ms: float | None = Field(default=None, gt=0)
    """The whole generation."""
    cite_ms: float | None = Field(default=None, gt=0)
    """Verifying sentences and citations."""
    total_ms: float | None = Field(default=None, gt=0)
    """The whole request; the stage that is longest beyond its usual share is blamed."""


class DiagnoseConfig(Section):
    """How faults are looked for."""

    budget: int = Field(default=40, ge=0)
    """Most generations that the interventions of one diagnosis may ask for."""
    playbook: str | None = None
    """A TOML file that extends or overrides the shipped playbook."""


class MonitorConfig(Section):
    """Windows, alerts and spot checks over the requests of users."""

    enabled: bool = True
    """Whether a server watches its own requests."""
    rules: str | None = None
    """A TOML file that extends or overrides the shipped alert rules."""
    every_s: float = Field(default=5.0, gt=0)
    """Seconds between two looks at the alert rules."""
    baseline: int = Field(default=300, ge=50)
    """Requests after the start, or after `firstfault watch --rebase`, that say what is usual."""
    sample: float = Field(default=0.1, ge=0, le=1)
    """Share of the requests that are scored again in the background, e.g. against exact search."""
    cpu_share: float = Field(default=0.03, gt=0, le=1)
    """Share of one core that background scores may take; requests beyond it are not scored."""
    diagnose: bool = True
    """Whether an incident is diagnosed as soon as it opens."""
    link: str | None = None
    """Address under which people reach the pages, for links in messages, e.g. https://llm.example.org."""
    webhook_env: str = ""
    """Name of the environment variable that holds the URL to which incidents are posted as JSON."""
    slack_env: str = ""
    """Name of the environment variable that holds a Slack-compatible incoming-webhook URL."""
    smtp_host: str | None = None
    """Mail server for messages; with email_from and email_to."""
    smtp_port: int = Field(default=25, ge=1, le=65535)
    """465 speaks TLS from the start; on other ports STARTTLS is used where the server offers it."""
    smtp_user: str = ""
    """Name to log in with; empty = no login."""
    smtp_password_env: str = ""
    """Name of the environment variable that holds its password."""
    email_from: str | None = None
    """Sender."""
    email_to: str | None = None
    """Recipients, separated by commas."""
    input_price: float | None = Field(default=None, ge=0)
    """Price of a million input tokens, in your currency; None = cost is not shown."""
    output_price: float | None = Field(default=None, ge=0)
    """Price of a million output tokens."""


class BakeoffConfig(Section):
    """Comparing ways to answer: what they cost, and arms of one's own."""

    prompt_price: float | None = Field(default=None, ge=0)
    """Money for a million prompt tokens; None = not known, and no cost is shown."""
    completion_price: float | None = Field(default=None, ge=0)
    """Money for a million generated tokens."""
    hour_price: float | None = Field(default=None, ge=0)
    """Money for an hour of the machine that runs a model of one's own."""
    currency: str = "USD"
    """What prices are in; only shown."""
    margin: float = Field(default=0.05, gt=0, lt=1)
    """The smallest difference in quality that matters."""
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict, exclude=True)
    """Name → settings to change, as tables or as "section.key" = value; `collection` names another one, and
    prices may stand without their section. Not part of what a request ran under."""


class ServeConfig(Section):
    """The HTTP server: where it listens, and what it takes on."""

    host: str = "127.0.0.1"
    """Address to bind. Beyond loopback it needs keys (`firstfault keys create`) or it refuses to start."""
    port: int = Field(default=8765, ge=0, le=65535)
    """0 = any free port."""
    tls_cert: str | None = None
    """PEM file of the certificate chain; with tls_key the server speaks HTTPS."""
    tls_key: str | None = None
    """PEM file of the private key."""
    concurrency: int = Field(default=8, ge=1, le=1000)
    """Requests that are worked on at a time."""
    queue: int = Field(default=32, ge=0)
    """Requests that wait; further ones are refused with 503 and Retry-After."""
    deadline_s: float = Field(default=60.0, gt=0)
    """Longest time for one request, waiting included; a request may ask for less, never for more."""
    max_body_bytes: int = Field(default=16 * 2**20, ge=1024)
    """Largest request body."""
    max_output_tokens: int = Field(default=1024, ge=1)
    """Most tokens that a request may ask of the model."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Of one key, where the key itself says nothing; None = no limit."""
    degrade_reranker: bool = True
    """Leave out the reranker while more than half of the queue is taken."""
    degrade_generator: bool = True
    """Quote instead of generate while the queue is nearly full, or when the model cannot be reached."""
    breaker_failures: int = Field(default=5, ge=1)
    """Failures in a row after which a remote model is not asked."""
    breaker_reset_s: float = Field(default=15.0, gt=0)
    """Seconds after which one request tries it again."""
    shutdown_s: float = Field(default=20.0, ge=0)
    """Requests may take this long to finish when the server is asked to stop; then they are cancelled."""
    injection_check: bool = True
    """Flag passages that read like instructions to a model: an event on the trace. Nothing is left out."""
    otlp_endpoint: str | None = None
    """OTLP/HTTP collector for spans and metrics, e.g. http://127.0.0.1:4318; None = nothing is sent."""
    otlp_content: bool = False
    """Whether questions, prompts and answers go with the spans."""


class HomeConfig(Section):
    """Where the truth about a home is."""

    database: str | None = None
    """A PostgreSQL that several processes share, e.g. postgresql+psycopg://user@host/database; None = a
    SQLite file in the home."""
    password_env: str = ""
    """Name of the environment variable that holds its password, if one is needed. It is never stored."""


class BulkConfig(Section):
    """Where bulk work runs: ingest, evaluation, diagnosis, drills and bake-offs."""

    kind: Literal["local", "ray"] = "local"
    """`local`: in this process; `ray`: on the workers of a Ray cluster."""
    workers: int = Field(default=2, ge=1, le=1024)
    """Processes of the cluster that work at a time, each with the models loaded and one thread."""
    address: str | None = None
    """A running cluster that this machine is a node of, e.g. 10.0.0.5:6379; None = one on this machine for as
    long as the command runs."""


class Settings(Section):
    """The whole configuration file."""

    home: HomeConfig = Field(default_factory=HomeConfig)
    bulk: BulkConfig = Field(default_factory=BulkConfig)
    embedder: EmbedderConfig = Field(default_factory=EmbedderConfig)
    index: IndexConfig = Field(default_factory=IndexConfig)
    chunking: ChunkingConfig = Field(default_factory=ChunkingConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
    pack: PackConfig = Field(default_factory=PackConfig)
    generator: GeneratorConfig = Field(default_factory=GeneratorConfig)
    answer: AnswerConfig = Field(default_factory=AnswerConfig)
    format: FormatConfig = Field(default_factory=FormatConfig)
    verifier: VerifierConfig = Field(default_factory=VerifierConfig)
    trace: TraceConfig = Field(default_factory=TraceConfig)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    latency: LatencyConfig = Field(default_factory=LatencyConfig)
    diagnose: DiagnoseConfig = Field(default_factory=DiagnoseConfig)
    monitor: MonitorConfig = Field(default_factory=MonitorConfig)
    bakeoff: BakeoffConfig = Field(default_factory=BakeoffConfig)
    serve: ServeConfig = Field(default_factory=ServeConfig)

    def fingerprint(self) -> str:
        """16 hex digits; settings that answer equally have equal fingerprints. Limits do not count."""
        canonical = json.dumps(self.model_dump(mode="json", exclude=_NOT_ANSWERING), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def embedded(self) -> "Settings":
        """The same with a database and an index of its own: copies must not touch what is shared."""
        return self.override(
            {"home.database": "", "index.kind": "edge", "bulk.kind": "local"}, origin="a copy"
        )

    def override(self, changes: Mapping[str, str], *, origin: str = "--set") -> "Settings":
        """A copy with `section.key` → value changed, checked like the file is."""
        values = {section: dict(table) for section, table in self.model_dump().items()}
        return _validate(values, _nested(changes, origin))


_NOT_ANSWERING: dict[str, Any] = {
    **dict.fromkeys(("home", "bulk", "evaluate", "latency", "diagnose", "monitor", "bakeoff", "serve"), True),
    "index": {
        "url",
        "api_key_env",
        "prefix",
        "shards",
        "shard_key",
        "replication",
        "write_consistency",
        "on_disk",
    },
    "generator": {"endpoints", "hedge_after_s"},
}
"""Settings that change no answer: limits, and where things are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings in force, the home they apply to, and where each value came from."""

    home: Path
    settings: Settings
    origins: Mapping[str, str]
    """`section.key` → "default", "firstfault.toml", "environment FIRSTFAULT__…" or "--set"."""

    def items(self) -> Iterator[tuple[str, Any, str]]:
        """Every key with its value and origin, in the order of declaration."""
        for section, table in self.settings.model_dump().items():
            for key, value in table.items():
                name = f"{section}.{key}"
                yield name, value, self.origins.get(name, "default")


def load(
    home: Path | None = None,
    file: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Config:
    """Merge defaults < file < environment < overrides (`section.key` → text).

    Raises:
        ConfigError: the file is missing or malformed, a key is unknown, or a value does not fit.
    """
    environment = os.environ if environment is None else environment
    layers: list[tuple[dict[str, dict[str, Any]], str]] = []
    path = file or DEFAULT_FILE
    if path.exists():
        sections = f"Sections are {', '.join(f'[{name}]' for name in Settings.model_fields)}."
        layers.append((read_tables(path, unreadable="Check the path given.", outside=sections), str(path)))
    elif file is not None:
        raise ConfigError(f"No configuration file at {file}.", hint="Check the path given with --config.")
    layers.append((_from_environment(environment), "environment"))
    layers.append((_nested(overrides or {}, "--set"), "--set"))

    values: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    for layer, origin in layers:
        _check_names(layer, origin)
        for section, table in layer.items():
            for key, value in table.items():
                values.setdefault(section, {})[key] = value
                from_environment = origin == "environment"
                place = f"environment {_variable(section, key)}" if from_environment else origin
                origins[f"{section}.{key}"] = place
    return Config(home=home or DEFAULT_HOME, settings=_validate(values, {}, origins), origins=origins)


def read_tables(path: Path, *, unreadable: str, outside: str) -> dict[str, dict[str, Any]]:
    """A TOML file that has tables only; the two hints say what to do when it cannot be read or has more.

    Raises:
        ConfigError: it is missing, not TOML, or a key stands outside a table.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.", hint="Correct that line.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint=unreadable) from error
    for name, entries in table.items():
        if not isinstance(entries, dict):
            raise ConfigError(f"{path}: '{name}' stands outside a table.", hint=outside)
    return table


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    changes = {}
    for name, value in environment.items():
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            changes[name[len(ENVIRONMENT_PREFIX) :].lower().replace("__", ".", 1)] = value
    return _nested(changes, "environment")


def _nested(changes: Mapping[str, str], origin: str) -> dict[str, dict[str, Any]]:
    layer: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        section, dot, key = name.partition(".")
        if not dot:
            raise ConfigError(
                f"'{name}' ({origin}) names no key.", hint="Write section.key, e.g. search.top_k."
            )
        layer.setdefault(section, {})[key] = value
    return layer


def _variable(section: str, key: str) -> str:
    return f"{ENVIRONMENT_PREFIX}{section}__{key}".upper()


def _check_names(layer: Mapping[str, Mapping[str, Any]], origin: str) -> None:
    known = {f"{s}.{k}" for s, f in Settings.model_fields.items() for k in _section_keys(f.annotation)}
    for section, table in layer.items():
        for key in table:
            name = f"{section}.{key}"
            if name in known:
                continue
            place = f"environment variable {_variable(section, key)}" if origin == "environment" else origin
            if section not in Settings.model_fields:
                hint = _suggest(section, Settings.model_fields)
                raise ConfigError(f"Unknown section '{section}' ({place}).", hint=hint)
            raise ConfigError(f"Unknown key '{name}' ({place}).", hint=_suggest(name, known))


def _section_keys(annotation: Any) -> list[str]:
    assert issubclass(annotation, Section)
    return list(annotation.model_fields)


def _suggest(name: str, known: Any) -> str:
    return did_you_mean(name, known, "See `firstfault config` for every key.")


def _validate(
    values: dict[str, dict[str, Any]],
    changes: Mapping[str, Mapping[str, Any]],
    origins: Mapping[str, str] | None = None,
) -> Settings:
    if changes:
        _check_names(changes, "--set")
    for section, table in changes.items():
        values.setdefault(section, {}).update(table)
    try:
        return Settings.model_validate({name: values.get(name, {}) for name in Settings.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        where = f" ({origins[name]})" if origins and name in origins else ""
        raise ConfigError(
            f"{name} = {first['input']!r}{where}: {first['msg']}.", hint="Correct the value."
        ) from error
