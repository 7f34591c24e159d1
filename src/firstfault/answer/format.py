"""Answers under a schema: constrained writing, then reading, repair and bounded retries, each on the trace.

In: a request with a schema and what was generated. Out: a value that satisfies the schema, or the rule that
it broke at last. An output that was not validated is never returned.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firstfault.answer.prompt import abstains, correction
from firstfault.answer.writing import Written, write
from firstfault.errors import InputError, RemoteError
from firstfault.models.generator import Constraint, Generator
from firstfault.stages import Stage
from firstfault.structured import Schema, examine, mend
from firstfault.structured.decoding import LARGEST_INTEGER, offers, plain
from firstfault.structured.evidence import leaves
from firstfault.structured.outline import compact, outline
from firstfault.structured.read import SAYS, problem, read
from firstfault.trace import OpenSpan
from firstfault.types import FormatAttempt, FormatProblem, Formatted, Generation, Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstfault.answer.application import Application
    from firstfault.answer.request import Request

CUT_OFF = frozenset({"truncated_output", "endless_whitespace"})
"""Problems of an output that did not come to its end."""

ROOM_FOR_TEMPLATE = 48
"""Tokens left for what a chat template adds around the messages of a retry."""

LEAST_ROOM = 32
"""Tokens below which another try is not worth asking for."""

LONGEST_QUOTE = 1_200
"""Characters of a failed output that are shown to the generator again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What an answer must look like."""

    schema: Schema
    shown: str
    """How the prompt tells it."""
    outlined: bool
    """Whether only an outline fitted the prompt."""


def shape(schema: Schema, generator: Generator, *, limit: int) -> Shape:
    """The schema as the prompt shows it: whole when it takes at most `limit` tokens, else its outline."""
    whole = compact(schema)
    if len(whole) <= 20 * limit and generator.count_tokens(whole) <= limit:
        return Shape(schema=schema, shown=whole, outlined=False)
    lines = outline(schema).splitlines()
    while len(lines) > 1 and generator.count_tokens("\n".join(lines)) > limit:
        lines = lines[: len(lines) // 2]
    return Shape(schema=schema, shown="\n".join(lines) if limit else "", outlined=True)


async def write_shaped(
    app: "Application",
    request: "Request",
    prompt: Sequence[Message],
    span: OpenSpan,
    *,
    max_tokens: int,
    turn: int = 0,
    lean: bool = False,
    hear: "Callable[[str], None] | None" = None,
) -> tuple[Written, str | None]:
    """Let the generator write under the request's schema; also what held it, as text, None = nothing did.

    `lean` holds a runtime with a grammar to the shortest values that the schema allows.
    What a runtime cannot express, or an endpoint refuses, is an event, and less is asked of it.
    """
    settings = request.settings
    assert request.shape is not None
    generator = app.generator(settings.generator)
    assert generator is not None
    ladder = await _ladder(request, generator, span, lean=lean)
    for position, constraint in enumerate(ladder):
        try:
            written = await write(
                generator,
                prompt,
                settings.generator,
                max_tokens=max_tokens,
                seed=settings.generator.seed + turn,
                constraint=constraint,
                hear=hear,
                timeout_s=request.recording.remaining_s(settings.generator.timeout_s),
            )
        except InputError as error:
            if constraint is None or constraint.response_format is None:
                raise
            span.event("schema_refused", reason=error.message, rung=position)
            continue
        return written, _held_by(constraint)
    raise AssertionError("the last rung is no constraint at all")


async def _ladder(
    request: "Request", generator: Generator, span: OpenSpan, *, lean: bool
) -> list[Constraint | None]:
    """What to hold the generator to, the strictest first; the last is nothing."""
    settings = request.settings.format
    if not settings.constrain:
        span.event("unconstrained", reason="format.constrain is off")
        return [None]
    assert request.shape is not None
    schema = request.shape.schema
    if generator.supports_grammar:
        versions = offers(schema, max_string=settings.max_string, max_items=settings.max_items, lean=lean)
        held = await generator.constrain([version.schema for version in versions])
        left = versions[held.rung].unenforced if held is not None and held.rung >= 0 else ()
    else:
        held = await generator.constrain([plain(schema)])
        left = ()
    if held is None:
        span.event("unconstrained", reason=f"{generator.name} cannot be held to JSON")
        return [None]
    if held.rung < 0:
        left = ("everything but JSON itself",)
    if left:
        span.event("constraint_relaxed", left_to_validation=", ".join(left[:20]), rules=len(left))
    weaker = await generator.constrain(()) if held.response_format is not None and held.rung >= 0 else None
    return [held, weaker, None] if weaker is not None else [held, None]


def _held_by(constraint: Constraint | None) -> str | None:
    if constraint is None:
        return None
    return constraint.grammar if constraint.grammar is not None else json.dumps(constraint.response_format)


async def satisfy(
    app: "Application", request: "Request", generation: Generation, *, duration_ms: float
) -> Formatted | None:
    """The format stage: read, repair, retry. None when the generator says that the sources do not say."""
    assert request.shape is not None
    schema = request.shape.schema
    settings = request.settings.format
    with request.recording.stage(Stage.FORMAT) as span:
        if request.shape.outlined:
            span.event("schema_outlined", limit=settings.schema_tokens)
        for note in schema.notes:
            span.event("schema_note", note=note)
        if abstains(generation.raw.strip()) and len(generation.raw) < 200:
            span.event("abstained_in_prose", said=generation.raw.strip())
            return None
        attempts: list[FormatAttempt] = []
        written = Written(
            raw=generation.raw,
            finish_reason=generation.finish_reason,
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
            duration_ms=duration_ms,
        )
        wanted = settings.max_tokens
        turn = 0
        while True:
            value = _take(written, schema, attempts, span, repair=settings.repair)
            if not attempts[-1].problems or turn == settings.retries:
                break
            turn += 1
            again = await _retry(app, request, generation, attempts, span, wanted=wanted, turn=turn)
            if again is None:
                break
            written, wanted = again
        valid = not attempts[-1].problems
        made = Formatted(
            schema=dict(schema.document),
            valid=valid,
            first_try=not attempts[0].problems,
            value=value if valid else None,
            attempts=tuple(attempts),
            constrained=generation.grammar is not None,
            cause=None if valid else cause(attempts[-1].problems),
        )
        _note(made, span)
        return made


def cause(problems: Sequence[FormatProblem]) -> str:
    """What an output that is not valid failed by, in the vocabulary of the stages."""
    rules = {one.rule for one in problems}
    if rules & CUT_OFF:
        return "truncated_output"
    return "invalid_json" if rules & SAYS.keys() else "schema_violation"


def value_of(formatted: Formatted) -> Any:
    """The value as it was validated, from the text of the last attempt: before any policy touched it."""
    return read(formatted.attempts[-1].raw)[0].value if formatted.valid else None


def _take(
    written: Written, schema: Schema, attempts: list[FormatAttempt], span: OpenSpan, *, repair: bool
) -> Any:
    """Hold one output against the schema, mend it if that helps; its attempts are appended."""
    examined = examine(written.raw, schema)
    problems = examined.problems
    if written.finish_reason == "whitespace" and not examined.reading.whole:
        problems = (problem("endless_whitespace"),)
    elif written.finish_reason != "stop" and _unfinished(
        examined.value, problems, whole=examined.reading.whole
    ):
        kept = [
            one for one in problems if one.rule not in {"truncated_output", "invalid_json", "empty_output"}
        ]
        saw = f"the generator ended with {written.finish_reason!r}"
        problems = (problem("truncated_output", saw=saw), *kept)
    attempts.append(
        FormatAttempt(
            kind="retried" if attempts else "generated",
            raw=written.raw,
            problems=problems,
            finish_reason=written.finish_reason,
            duration_ms=written.duration_ms,
            prompt_tokens=written.prompt_tokens,
            completion_tokens=written.completion_tokens,
        )
    )
    if not problems or not repair or {one.rule for one in problems} & CUT_OFF:
        return examined.value
    before = span.elapsed_ms()
    mended = mend(written.raw, schema)
    if mended is None or not mended.mends:
        return examined.value
    span.event("repaired", mends=", ".join(mended.mends), valid=not mended.problems)
    attempts.append(
        FormatAttempt(
            kind="repaired",
            raw=mended.text,
            problems=mended.problems,
            finish_reason=written.finish_reason,
            duration_ms=round(span.elapsed_ms() - before, 3),
            prompt_tokens=0,
            completion_tokens=0,
        )
    )
    return mended.value


def _unfinished(value: Any, problems: Sequence[FormatProblem], *, whole: bool) -> bool:
    """Whether an output that the token limit ended may lack its end; the 12 of 123 looks complete."""
    return not whole or (isinstance(value, int | float) and not isinstance(value, bool)) or bool(problems)


async def _retry(
    app: "Application",
    request: "Request",
    generation: Generation,
    attempts: Sequence[FormatAttempt],
    span: OpenSpan,
    *,
    wanted: int,
    turn: int,
) -> tuple[Written, int] | None:
    """Ask again, with what was wrong; None when the context window has no room for it."""
    generator = app.generator(request.settings.generator)
    assert generator is not None
    failed = attempts[-1]
    cut = bool({one.rule for one in failed.problems} & CUT_OFF)
    wanted = 2 * wanted if cut else wanted
    for quote in ("" if cut else failed.raw[:LONGEST_QUOTE], ""):
        prompt = (*generation.prompt, *correction(failed.problems, quote=quote, cut=cut))
        taken = sum(generator.count_each([message.content for message in prompt])) + ROOM_FOR_TEMPLATE
        room = generator.context_window - taken
        if room >= min(wanted, 2 * LEAST_ROOM):
            break
    if room < LEAST_ROOM:
        span.event("no_room_to_retry", room=room, least=LEAST_ROOM)
        return None
    first = failed.problems[0]
    span.event(
        "retried",
        turn=turn,
        cause=cause(failed.problems),
        rule=first.rule,
        path=first.path,
        max_tokens=min(wanted, room),
    )
    try:
        written, _ = await write_shaped(
            app, request, prompt, span, max_tokens=min(wanted, room), turn=turn, lean=cut
        )
    except RemoteError as error:  # the output at hand failed by its schema: that is what is reported
        span.event("retry_failed", turn=turn, reason=error.message)
        return None
    return written, wanted


def _note(made: Formatted, span: OpenSpan) -> None:
    kinds = [attempt.kind for attempt in made.attempts]
    span.note(
        valid=made.valid,
        first_try=made.first_try,
        constrained=made.constrained,
        repairs=kinds.count("repaired"),
        retries=kinds.count("retried"),
        extra_tokens=sum(attempt.completion_tokens or 0 for attempt in made.attempts[1:]),
    )
    if not made.valid:
        last = made.attempts[-1].problems[0]
        span.event("format_failed", cause=made.cause, rule=last.rule, path=last.path, message=last.message)
    for path, leaf in leaves(made.value):
        if isinstance(leaf, int) and abs(leaf) > LARGEST_INTEGER:
            where = "/".join(map(str, path))
            span.event("large_integer", path=f"/{where}", note="other JSON readers may round it")
