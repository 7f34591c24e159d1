"""The answer path, in one straight line: retrieve → pack → generate → cite, recorded as a trace.

In: a question and an open application. Out: a `Trace` with the answer and everything behind it.
Given an earlier trace and a stage to start at, only that stage and those after it are run.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from firstfault.answer.application import Application
from firstfault.answer.cite import check, compose
from firstfault.answer.extractive import extract
from firstfault.answer.fields import verify_fields
from firstfault.answer.format import Shape, satisfy, shape, value_of, write_shaped
from firstfault.answer.pack import framed, pack
from firstfault.answer.prompt import (
    ABSTENTION,
    citation_grammar,
    lone_messages,
    messages,
    structured_messages,
)
from firstfault.answer.request import Request, validate_question
from firstfault.answer.retrieve import Ranking, retrieve
from firstfault.answer.writing import write
from firstfault.config import Settings
from firstfault.errors import ConfigError, FirstfaultError, InputError, RemoteError
from firstfault.stages import Stage
from firstfault.structured import compile_schema
from firstfault.trace import OpenSpan, Recording
from firstfault.types import Answer, Context, Formatted, Generation, Message, Trace, TraceHit
from firstfault.verify import split_claims

if TYPE_CHECKING:
    from pydantic import BaseModel

Listener = Callable[[str], None]
"""Called with each piece of text as it is generated, before it is checked."""

Packed = Callable[[Context], None]
"""Called with what was packed, before anything is generated."""


async def ask(
    app: Application,
    question: str,
    *,
    where: str | None = None,
    settings: Settings | None = None,
    schema: "Mapping[str, Any] | type[BaseModel] | None" = None,
    listener: Listener | None = None,
    prior: Trace | None = None,
    start: Stage = Stage.FILTER,
    generate: bool = True,
    case: str | None = None,
    exact: bool = False,
    keep: bool = True,
    recording: Recording | None = None,
    packed: Packed | None = None,
    fallback: bool = False,
) -> Trace:
    """Answer a question from the collection and record how.

    Without `generate` the path ends when the context is packed: the trace has no answer. `case` is the id of
    the evaluation case that asks. For probes: `exact` replaces the index by exact search, and without `keep`
    the trace is returned and not stored.

    With a `schema` (a JSON schema or a Pydantic model class) the answer is one JSON value,
    `Trace.format.value`: valid, or None with the rule that was broken. A replay keeps the schema.

    For servers: a `recording` of their own, begun when the request came in; with `fallback`, a model that
    fails before its first word is replaced by the extractive generator, which is an event on the trace.

    Raises:
        InputError: question, filter or schema cannot be used. Nothing is recorded.
        FirstfaultError: a stage failed. The trace with the error is recorded first.
    """
    question = validate_question(question)
    version = prior.corpus_version if prior else app.collection.version  # opened before the clock starts
    settings = settings or app.settings
    if schema is None and prior is not None:
        schema = prior.schema
    prompts = generate and (prior is None or start not in {Stage.FORMAT, Stage.CITE})
    shaped = _shape(app, settings, schema, prompts=prompts)
    app.take_loads()
    recording = recording or Recording()
    request = Request(
        question=question,
        where=where,
        settings=settings,
        recording=recording,
        shape=shaped,
        version=version,
        prior=prior,
        start=start,
    )
    ranking: Ranking | None = None
    context: Context | None = None
    generation: Generation | None = None
    formatted: Formatted | None = None
    answer: Answer | None = None
    failure: FirstfaultError | None = None
    try:
        ranking = _find(app, request, exact=exact)
        context = _pack(app, request, ranking)
        if generate:
            if packed:
                packed(context)
            generation = await _generate(app, request, ranking, context, listener, fallback=fallback)
            if request.shape is None:
                answer = _cite(app, request, context, generation)
            else:
                formatted = await _format(app, request, generation)
                answer, formatted = _cite_fields(app, request, context, generation, formatted)
    except InputError:
        raise
    except FirstfaultError as error:
        failure = error
    trace = Trace(
        id=recording.id,
        at=recording.at,
        collection=app.collection.name,
        question=request.question,
        where=where,
        corpus_version=request.version,
        settings=request.settings.model_dump(mode="json"),
        fingerprint=request.settings.fingerprint(),
        embedder=app.embedder.fingerprint,
        verifier=app.verifier(request.settings.verifier).name,
        hits=tuple(_remember(ranking)) if ranking else (),
        selected=ranking.selected if ranking else 0,
        context=context,
        generation=generation,
        answer=answer,
        spans=recording.spans(),
        time_to_first_token_ms=recording.time_to_first_token_ms,
        total_ms=recording.elapsed_ms(),
        replay_of=prior.id if prior else None,
        replayed_from=start.value if prior else None,
        error=str(failure) if failure else None,
        error_kind=type(failure).__name__ if failure else None,
        case=case,
        schema=dict(request.shape.schema.document) if request.shape else None,
        format=formatted,
        key=recording.key,
    )
    if keep:
        app.traces.put(trace)
    if failure:
        failure.add_note(f"trace {trace.id}")
        raise failure
    return trace


def _find(app: Application, request: Request, *, exact: bool) -> Ranking:
    """Candidates in final order; none, and an event that says so, where retrieval is switched off."""
    if request.settings.search.enabled:
        return retrieve(app, request, exact=exact)
    with request.recording.stage(Stage.FILTER) as span:
        span.event("retrieval_off", where=request.where)
    return Ranking(hits=(), keys=(), selected=0)


def _remember(ranking: Ranking) -> Iterator[TraceHit]:
    for key, hit in zip(ranking.keys, ranking.hits, strict=True):
        yield TraceHit(key=key, chunk_id=hit.chunk.id, document_id=hit.chunk.document_id, arms=hit.arms)


def _shape(
    app: Application,
    settings: Settings,
    schema: "Mapping[str, Any] | type[BaseModel] | None",
    *,
    prompts: bool,
) -> Shape | None:
    """What the answer must look like, and as far as anybody is prompted, how that is said."""
    if prompts and not settings.search.enabled and settings.generator.kind == "extractive":
        raise ConfigError(
            "The extractive generator quotes passages, and search.enabled = false leaves it without any.",
            hint='Set search.enabled to true, or generator.kind to "llama" or "openai".',
        )
    if schema is None:
        return None
    compiled = compile_schema(schema)
    if not prompts:
        return Shape(schema=compiled, shown="", outlined=False)
    generator = app.generator(settings.generator)
    if generator is None:
        raise InputError(
            "The extractive generator quotes sentences; it cannot fill in a schema.",
            hint='Set generator.kind to "llama" or "openai".',
        )
    return shape(compiled, generator, limit=settings.format.schema_tokens)


def _prompt(request: Request, context: Context | None, *, question: str | None = None) -> tuple[Message, ...]:
    """The messages for a context; without one, the frame around it. `question` replaces the request's."""
    passages = context.passages if context is not None else ()
    asked = request.question if question is None else question
    if not request.settings.search.enabled:
        return lone_messages(asked, request.shape.shown if request.shape is not None else None)
    if request.shape is None:
        return messages(asked, passages)
    return structured_messages(asked, passages, request.shape.shown)


def _pack(app: Application, request: Request, ranking: Ranking) -> Context:
    prior = request.reuses(Stage.PACK)
    if prior is not None and prior.context is not None:
        return prior.context
    settings = request.settings
    generator = app.generator(settings.generator)
    selected = ranking.hits[: ranking.selected]
    passages = [framed(hit.chunk) for hit in selected]
    with request.recording.stage(Stage.PACK) as span:
        _note_loads(app, span)
        budget = settings.pack.budget_tokens
        if generator is None:
            count, tokens = _words, [_words(passage) for passage in passages]
        else:
            count, keys = generator.count_tokens, ranking.keys[: ranking.selected]
            frame = "".join(message.content for message in _prompt(request, None, question=""))
            longest = settings.format.max_tokens if request.shape else settings.generator.max_tokens
            room = generator.context_window - longest - CHAT_TEMPLATE_TOKENS
            around, tokens = app.token_counts.count(
                generator, keys, passages, frame=frame, question=request.question, enough=room - budget
            )
            room -= around
            if room < budget:
                span.event("budget_lowered", wanted=budget, room=room)
                budget = room
        context = pack(selected, tokens=tokens, budget=max(budget, 0), count_tokens=count)
        span.note(passages=len(context.passages), tokens=context.tokens, budget=context.budget)
        for chunk_id in context.clipped:
            span.event("passage_clipped", chunk_id=chunk_id)
        for chunk_id in context.dropped:
            span.event("passage_dropped", chunk_id=chunk_id)
    return context


CHAT_TEMPLATE_TOKENS = 32
"""Room left for what a chat template adds around the messages."""


def _note_loads(app: Application, span: OpenSpan) -> None:
    """Tell what was loaded for a stage: before it began, so that the time is not counted as its own."""
    for model, took in app.take_loads():
        span.event("model_loaded", model=model, ms=took)


def _words(text: str) -> int:
    """A word count scaled to tokens, for the extractive generator, which has no tokenizer."""
    return len(text.split()) * 4 // 3


async def _generate(
    app: Application,
    request: Request,
    ranking: Ranking,
    context: Context,
    listener: Listener | None,
    *,
    fallback: bool,
) -> Generation | None:
    prior = request.reuses(Stage.GENERATE)
    if prior is not None:
        return prior.generation
    settings = request.settings
    generator = app.generator(settings.generator)
    with request.recording.stage(Stage.GENERATE) as span:
        _note_loads(app, span)
        nearest = max((h.arms["dense"].score for h in ranking.hits if "dense" in h.arms), default=0.0)
        alone = not settings.search.enabled
        if not alone and (not context.passages or nearest < settings.answer.min_relevance):
            span.event("no_relevant_passage", nearest=round(nearest, 4), least=settings.answer.min_relevance)
            return None
        if generator is None:
            return _quote(app, request, context, listener)
        prompt = _prompt(request, context)

        def hear(text: str) -> None:
            request.recording.first_token()
            if listener:
                listener(text)

        try:
            if request.shape is None:
                longest = settings.generator.max_tokens
                grammar = citation_grammar(context) if generator.supports_grammar and not alone else None
                written = await write(
                    generator,
                    prompt,
                    settings.generator,
                    max_tokens=longest,
                    seed=settings.generator.seed,
                    grammar=grammar,
                    hear=hear,
                    timeout_s=request.recording.remaining_s(settings.generator.timeout_s),
                )
            else:
                longest = settings.format.max_tokens
                written, grammar = await write_shaped(
                    app, request, prompt, span, max_tokens=longest, hear=hear
                )
        except RemoteError as error:
            if not fallback or alone or request.recording.time_to_first_token_ms is not None:
                raise
            span.event("degraded", step="no_generator", reason=error.message)
            return _quote(app, request, context, listener)
        for note in written.notes:
            span.event(note.name, **note.attributes)
        if written.finish_reason == "length":
            span.event("truncated_output", max_tokens=longest)
        adapter = generator.adapter
        if adapter is not None:
            span.note(adapter=adapter.name, adapter_release=adapter.release)
        span.note(
            model=generator.name,
            prompt_tokens=written.prompt_tokens,
            completion_tokens=written.completion_tokens,
        )
        return Generation(
            model=generator.name,
            fingerprint=generator.fingerprint,
            adapter=adapter.name if adapter else None,
            adapter_digest=adapter.digest if adapter else None,
            adapter_release=adapter.release if adapter else None,
            prompt=prompt,
            rendered=generator.render(prompt),
            grammar=grammar,
            raw=written.raw,
            finish_reason=written.finish_reason,
            prompt_tokens=written.prompt_tokens,
            completion_tokens=written.completion_tokens,
        )


def _quote(app: Application, request: Request, context: Context, listener: Listener | None) -> Generation:
    """What the extractive generator says."""
    raw = extract(request.question, context, embedder=app.embedder, least=0.0)
    request.recording.first_token()
    if listener:
        listener(raw)
    return Generation(
        model="extractive",
        fingerprint="extractive-1",
        adapter=None,
        prompt=(),
        rendered=None,
        grammar=None,
        raw=raw,
        finish_reason="stop",
        prompt_tokens=0,
        completion_tokens=0,
    )


async def _format(app: Application, request: Request, generation: Generation | None) -> Formatted | None:
    """A value that satisfies the schema, or the rule that was broken; None when nothing was generated."""
    if generation is None:
        return None
    prior = request.reuses(Stage.FORMAT)
    if prior is not None:
        return prior.format
    spans = request.prior.spans if request.reuses(Stage.GENERATE) and request.prior else ()
    spent = [s.duration_ms for s in (*spans, *request.recording.spans()) if s.stage == Stage.GENERATE.value]
    return await satisfy(app, request, generation, duration_ms=spent[-1] if spent else 0.0)


def _cite_fields(
    app: Application,
    request: Request,
    context: Context,
    generation: Generation | None,
    formatted: Formatted | None,
) -> tuple[Answer, Formatted | None]:
    """The structured answer, each field that states something verified; its value as the policy left it."""
    verifier = app.verifier(request.settings.verifier)
    with request.recording.stage(Stage.CITE) as span:
        _note_loads(app, span)
        if generation is None or formatted is None:
            raw = generation.raw if generation is not None else ""
            return Answer(text=ABSTENTION, abstained=True, claims=(), citations=(), raw=raw), None
        if not formatted.valid:
            broken = formatted.attempts[-1].problems[0]
            text = f"No valid answer ({formatted.cause}): {broken.path or 'the output'}: {broken.message}"
            return Answer(text=text, abstained=False, claims=(), citations=(), raw=generation.raw), formatted
        assert request.shape is not None
        verified = verify_fields(
            value_of(formatted),
            request.shape.schema,
            context,
            verifier=verifier,
            span=span,
            policy=request.settings.answer.policy,
            raw=generation.raw,
        )
        answer = verified.answer
        span.note(claims=len(answer.claims), citations=len(answer.citations), removed=len(answer.removed))
        return answer, replace(formatted, value=verified.value)


def _cite(app: Application, request: Request, context: Context, generation: Generation | None) -> Answer:
    policy = request.settings.answer.policy
    verifier = app.verifier(request.settings.verifier)
    with request.recording.stage(Stage.CITE) as span:
        _note_loads(app, span)
        if generation is None:
            return Answer(text=ABSTENTION, abstained=True, claims=(), citations=())
        raw = _whole_sentences(generation, span)
        answer = compose(raw, check(raw, context, verifier=verifier, span=span), policy=policy)
        if policy == "strip" and answer.abstained and answer.removed:
            least = request.settings.answer.min_relevance
            extracted = extract(request.question, context, embedder=app.embedder, least=least)
            if extracted:
                span.event("replaced_by_extract", removed=len(answer.removed))
                checked = check(extracted, context, verifier=verifier, span=span)
                answer = replace(compose(extracted, checked, policy=policy), removed=answer.removed)
        span.note(claims=len(answer.claims), citations=len(answer.citations), removed=len(answer.removed))
        return replace(answer, raw=generation.raw)


def _whole_sentences(generation: Generation, span: OpenSpan) -> str:
    """The output without a last sentence that the token limit cut, unless it is the only one."""
    if generation.finish_reason != "length" or generation.raw.rstrip().endswith((".", "!", "?", "]")):
        return generation.raw
    sentences = split_claims(generation.raw)
    if len(sentences) < 2:
        return generation.raw
    start, end = sentences[-1]
    span.event("unfinished_sentence_dropped", sentence=generation.raw[start:end])
    return generation.raw[:start]
