"""The whole answer path under a schema, over HTTP, with an endpoint that writes badly."""

from typing import Any

import pytest
from pydantic import BaseModel
from tests.answer.conftest import Open, Reply, Writer

from firstfault.errors import InputError
from firstfault.trace.store import decode, encode, status
from firstfault.types import Trace

QUESTION = "What does math.gcd return?"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "returns": {"type": "string", "x-firstfault-evidence": True},
        "arguments": {"type": "integer", "minimum": 0},
        "kind": {"enum": ["function", "class"]},
    },
    "required": ["returns", "arguments"],
    "additionalProperties": False,
}
GOOD = '{"returns": "the greatest common divisor", "arguments": 2}'
VALUE = {"returns": "the greatest common divisor", "arguments": 2}


def kinds(trace: Trace) -> list[str]:
    assert trace.format is not None
    return [attempt.kind for attempt in trace.format.attempts]


def rules(trace: Trace, attempt: int = 0) -> set[str]:
    assert trace.format is not None
    return {problem.rule for problem in trace.format.attempts[attempt].problems}


def events(trace: Trace, name: str) -> list[dict[str, Any]]:
    return [dict(event.attributes) for _, event in trace.events() if event.name == name]


def test_a_good_answer_needs_one_call(writer: Writer, opened: Open) -> None:
    writer.replies = [GOOD]
    trace = opened().ask(QUESTION, schema=SCHEMA)
    made = trace.format
    assert made is not None
    assert (made.valid, made.first_try, made.value, made.cause) == (True, True, VALUE, None)
    assert kinds(trace) == ["generated"]
    assert [span.stage for span in trace.spans][-3:] == ["generate", "format", "cite"]
    assert trace.schema == SCHEMA
    assert "x-firstfault-evidence" not in str(writer.asked)  # our own mark is nobody else's business
    assert '"minimum":0' in writer.asked[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("reply", "rule"),
    [
        (f"Certainly! Here it is: {GOOD} I hope this helps.", "text_around"),
        (f"```json\n{GOOD}\n```", "code_fence"),
        (GOOD.replace("2}", "2,}"), "trailing_comma"),
        (GOOD.replace("2}", '"2"}'), "type"),
        (GOOD.replace('"', "'"), "quotes"),
        (GOOD.replace("2}", '2, "kind": null}'), "enum"),
        (GOOD.replace("2}", '2, "arguments": 2}'), "duplicate_key"),
    ],
)
def test_what_is_badly_written_is_repaired_without_another_call(
    reply: Reply, rule: str, writer: Writer, opened: Open
) -> None:
    writer.replies = [reply]
    trace = opened().ask(QUESTION, schema=SCHEMA)
    assert trace.format is not None
    assert (trace.format.valid, trace.format.first_try, trace.format.value) == (True, False, VALUE)
    assert kinds(trace) == ["generated", "repaired"]
    assert rule in rules(trace)
    assert len(writer.asked) == 1
    assert events(trace, "repaired")[0]["valid"]


@pytest.mark.parametrize(
    ("reply", "rule", "told"),
    [
        ((GOOD[:30], "length"), "truncated_output", "broke off"),
        (GOOD[:30], "truncated_output", "broke off"),
        ('{"returns": ' + " " * 5000, "endless_whitespace", "broke off"),
        (GOOD.replace("2}", '2, "arguments": 3}'), "conflicting_key", "/arguments"),
        (GOOD.replace("2}", "1e999}"), "number_out_of_range", "/arguments"),
        (GOOD.replace("2}", "-1}"), "minimum", "/arguments: -1 is less than the minimum of 0"),
        ('{"returns": "x"}', "required", "'arguments' is a required property"),
        (f"{GOOD} or {GOOD.replace('2', '3')}", "text_around", "other text around"),
        ("I cannot do that.", "invalid_json", "no JSON"),
        ("", "empty_output", "nothing was written"),
    ],
)
def test_what_cannot_be_repaired_is_asked_for_again_with_the_reason(
    reply: Reply, rule: str, told: str, writer: Writer, opened: Open
) -> None:
    writer.replies = [reply, GOOD]
    trace = opened().ask(QUESTION, schema=SCHEMA)
    assert trace.format is not None
    assert (trace.format.valid, trace.format.first_try, trace.format.value) == (True, False, VALUE)
    assert kinds(trace)[-1] == "retried"
    assert rule in rules(trace)
    assert told in writer.asked[1]["messages"][-1]["content"]
    (retried,) = events(trace, "retried")
    assert retried["rule"] in rules(trace)


@pytest.mark.parametrize(
    ("reply", "cause", "rule"),
    [
        ((GOOD[:30], "length"), "truncated_output", "truncated_output"),
        ("no", "invalid_json", "invalid_json"),
        ('{"returns": "x"}', "schema_violation", "required"),
    ],
)
def test_what_fails_at_last_says_which_rule_and_where(
    reply: Reply, cause: str, rule: str, writer: Writer, opened: Open
) -> None:
    writer.replies = [reply] * 3
    trace = opened(answer__policy="annotate").ask(QUESTION, schema=SCHEMA)
    made = trace.format
    assert made is not None
    assert (made.valid, made.value, made.cause) == (False, None, cause)
    assert rule in rules(trace, -1)
    assert status(trace) == "malformed"
    assert trace.answer is not None
    assert cause in trace.answer.text
    assert not trace.answer.abstained
    assert len(writer.asked) == 3
    assert events(trace, "format_failed")[0]["rule"] == rule
    assert decode(encode(trace)) == trace


def test_a_cut_answer_gets_twice_the_room(writer: Writer, opened: Open) -> None:
    writer.replies = [(GOOD[:30], "length"), (GOOD[:40], "length"), GOOD]
    opened(format__max_tokens="40").ask(QUESTION, schema=SCHEMA)
    assert [body["max_tokens"] for body in writer.asked] == [40, 80, 160]


def test_a_number_at_the_limit_may_lack_digits(writer: Writer, opened: Open) -> None:
    writer.replies = [("12", "length"), ("123", "stop")]
    trace = opened().ask(QUESTION, schema={"type": "integer"})
    assert trace.format is not None
    assert trace.format.value == 123


def test_a_complete_answer_that_goes_on_with_blanks_is_complete(writer: Writer, opened: Open) -> None:
    writer.replies = [GOOD + " \n" * 3000]
    trace = opened().ask(QUESTION, schema=SCHEMA)
    assert trace.format is not None
    assert trace.format.first_try
    assert trace.format.attempts[0].finish_reason == "whitespace"


def test_without_repair_and_retries_the_first_output_decides(writer: Writer, opened: Open) -> None:
    writer.replies = [f"```json\n{GOOD}\n```"]
    trace = opened(format__repair="false", format__retries="0").ask(QUESTION, schema=SCHEMA)
    assert trace.format is not None
    assert (trace.format.valid, trace.format.cause) == (False, "invalid_json")
    assert kinds(trace) == ["generated"]


def test_a_retry_that_does_not_fit_the_window_is_not_made(writer: Writer, opened: Open) -> None:
    writer.replies = [("{" + '"returns": "' + "x" * 500, "length")]
    trace = opened(generator__context_window="480", format__max_tokens="8").ask(QUESTION, schema=SCHEMA)
    assert trace.format is not None
    assert trace.format.cause == "truncated_output"
    assert events(trace, "no_room_to_retry")


def test_an_abstention_in_prose_is_an_abstention(writer: Writer, opened: Open) -> None:
    writer.replies = ["The sources do not say."]
    trace = opened().ask(QUESTION, schema=SCHEMA)
    assert trace.format is None
    assert trace.answer is not None
    assert trace.answer.abstained
    assert events(trace, "abstained_in_prose")


def test_nothing_is_asked_when_no_passage_is_relevant(writer: Writer, opened: Open) -> None:
    trace = opened().ask("Who won the football world cup in 2022?", schema=SCHEMA)
    assert trace.format is None
    assert trace.answer is not None
    assert trace.answer.abstained
    assert not writer.asked


@pytest.mark.parametrize(
    ("honours", "refuses", "sent", "probes"),
    [
        (("json_schema", "json_object"), (), "json_schema", ["json_schema"]),
        (("json_object",), ("json_schema",), "json_object", ["json_schema", "json_object"]),
        (("json_object",), (), "json_object", ["json_schema", "json_object"]),
        ((), ("json_schema", "json_object"), "", ["json_schema", "json_object"]),
        ((), (), "", ["json_schema", "json_object"]),
    ],
)
def test_what_an_endpoint_honours_is_asked_once_never_assumed(
    honours: tuple[str, ...],
    refuses: tuple[str, ...],
    sent: str,
    probes: list[str],
    writer: Writer,
    opened: Open,
) -> None:
    writer.honours, writer.refuses = honours, refuses
    writer.replies = [GOOD, GOOD]
    app = opened()
    traces = [app.ask(QUESTION, schema=SCHEMA) for _ in range(2)]
    assert [body.get("response_format", {}).get("type", "") for body in writer.asked] == [sent, sent]
    assert writer.probes == probes
    for trace in traces:
        assert trace.format is not None
        assert trace.format.constrained == bool(sent)
        assert bool(events(trace, "unconstrained")) == (not sent)
        assert bool(events(trace, "constraint_relaxed")) == (sent == "json_object")


def test_a_schema_that_the_endpoint_refuses_is_said_and_asked_for_otherwise(
    writer: Writer, opened: Open
) -> None:
    writer.honours = ("json_schema", "json_object")
    app = opened()
    writer.replies = [{"reason": "minimum is not supported"}, GOOD]
    trace = app.ask(QUESTION, schema=SCHEMA)
    assert [body["response_format"]["type"] for body in writer.asked] == ["json_schema", "json_object"]
    (refused,) = events(trace, "schema_refused")
    assert "minimum is not supported" in refused["reason"]


def test_constraining_can_be_switched_off(writer: Writer, opened: Open) -> None:
    writer.replies = [GOOD]
    trace = opened(format__constrain="false").ask(QUESTION, schema=SCHEMA)
    assert writer.probes == []
    assert events(trace, "unconstrained")


def test_fields_that_need_evidence_get_citation_and_verdict(writer: Writer, opened: Open) -> None:
    schema = {
        "type": "object",
        "properties": {
            "returns": {"$ref": "#/$defs/fact"},
            "sign": {"x-firstfault-evidence": True, "type": "boolean"},
            "rivals": {"type": "array", "x-firstfault-evidence": True, "items": {"type": "string"}},
            "comment": {"type": "string"},
            "mood": {"type": "string", "x-firstfault-evidence": False},
            "nothing": {"type": ["string", "null"], "x-firstfault-evidence": True},
        },
        "$defs": {"fact": {"type": "string", "x-firstfault-evidence": True}},
    }
    writer.replies = [
        '{"returns": "the greatest common divisor [1]", "sign": true, "rivals": ["Grace Hopper"], '
        '"comment": "It paints pictures of purple cows in Paris.", "mood": "I feel very good about this.", '
        '"nothing": null}'
    ]
    trace = opened().ask(QUESTION, schema=schema)
    answer = trace.answer
    assert answer is not None
    found = {claim.path: claim for claim in answer.claims}
    assert {path: claim.verdict.label for path, claim in found.items()} == {
        "/returns": "supported",
        "/sign": "unknown",
        "/rivals/0": "unsupported",
        "/comment": "unsupported",
    }
    (number,) = found["/returns"].citations
    cited = next(one for one in answer.citations if one.number == number)
    assert cited.document_id == "gcd.md"
    assert "greatest common divisor" in cited.cited_text
    for claim in answer.claims:  # offsets point at the value in the JSON text
        assert answer.text[claim.start : claim.end].strip('"') == claim.text
    assert trace.format is not None
    assert trace.format.value["returns"] == "the greatest common divisor"  # its mark was checked, and is out
    assert events(trace, "citation_marks_taken_out") == [{"path": "/returns"}]


def test_false_marks_inside_a_value_are_caught(writer: Writer, opened: Open) -> None:
    writer.replies = ['{"returns": "It returns the greatest common divisor [77].", "arguments": 2}']
    trace = opened().ask(QUESTION, schema=SCHEMA)
    assert events(trace, "fabricated_citation")[0]["mark"] == 77
    assert trace.format is not None
    assert trace.format.value["returns"] == "It returns the greatest common divisor."


UNSUPPORTED = (
    '{"facts": ["the greatest common divisor", "Grace Hopper", "the integer arguments"], '
    '"author": "Alan Turing", "place": "Paris"}'
)
STRIPPING = {
    "type": "object",
    "x-firstfault-evidence": True,
    "properties": {
        "facts": {"type": "array", "items": {"type": "string"}},
        "author": {"type": ["string", "null"]},
        "place": {"type": "string"},
    },
    "required": ["author", "place"],
}


def test_strip_takes_out_what_the_schema_can_do_without(writer: Writer, opened: Open) -> None:
    writer.replies = [UNSUPPORTED]
    app = opened(answer__policy="strip")
    trace = app.ask(QUESTION, schema=STRIPPING)
    assert trace.format is not None
    assert trace.format.value == {
        "facts": ["the greatest common divisor", "the integer arguments"],
        "author": None,
        "place": "Paris",
    }
    assert [event["path"] for event in events(trace, "unsupported_field_kept")] == ["/place"]
    assert trace.answer is not None
    assert {claim.path for claim in trace.answer.removed} == {"/facts/1", "/author"}
    assert [claim.path for claim in trace.answer.claims] == ["/facts/0", "/facts/1", "/place"]
    restored = app.replay(trace, {"answer.policy": "annotate"})
    assert restored.replayed_from == "cite"
    assert restored.format is not None
    assert restored.format.value["author"] == "Alan Turing"  # the policy is undone, the format is kept
    assert len(writer.asked) == 1


def test_abstain_withholds_a_value_with_an_unsupported_field(writer: Writer, opened: Open) -> None:
    writer.replies = [UNSUPPORTED]
    trace = opened(answer__policy="abstain").ask(QUESTION, schema=STRIPPING)
    assert trace.answer is not None
    assert trace.answer.abstained
    assert trace.format is not None
    assert (trace.format.valid, trace.format.value) == (True, None)


def test_a_replay_from_format_reuses_the_words_and_the_schema(writer: Writer, opened: Open) -> None:
    writer.replies = ["no", "no", "no"]
    app = opened()
    failed = app.ask(QUESTION, schema=SCHEMA)
    writer.replies = [GOOD]
    again = app.replay(failed, {"format.retries": "1", "answer.policy": "annotate"})
    assert again.replayed_from == "format"
    assert [span.stage for span in again.spans] == ["format", "cite"]
    assert kinds(again) == ["generated", "retried"]
    assert again.generation == failed.generation
    assert again.schema == SCHEMA
    assert again.format is not None
    assert again.format.value == VALUE


class Gcd(BaseModel):
    """What a function gives back."""

    returns: str
    arguments: int


def test_a_pydantic_model_is_a_schema(writer: Writer, opened: Open) -> None:
    writer.replies = [GOOD]
    trace = opened().ask(QUESTION, schema=Gcd)
    assert trace.format is not None
    assert Gcd.model_validate(trace.format.value).arguments == 2


def test_a_schema_too_large_for_the_prompt_is_outlined(writer: Writer, opened: Open) -> None:
    large = {
        **SCHEMA,
        "properties": SCHEMA["properties"] | {f"p{i}": {"type": "string"} for i in range(500)},
    }
    writer.replies = [GOOD]
    trace = opened(format__schema_tokens="100").ask(QUESTION, schema=large)
    assert trace.format is not None
    assert trace.format.valid
    assert events(trace, "schema_outlined")
    told = writer.asked[0]["messages"][0]["content"]
    assert "returns: string\n" in told
    assert "p499" not in told


def test_large_integers_are_kept_and_said(writer: Writer, opened: Open) -> None:
    writer.replies = [GOOD.replace("2}", f"{2**80}}}")]
    trace = opened().ask(QUESTION, schema=SCHEMA)
    assert trace.format is not None
    assert trace.format.value["arguments"] == 2**80
    assert events(trace, "large_integer")[0]["path"] == "/arguments"
    assert decode(encode(trace)) == trace


def test_the_extractive_generator_refuses_a_schema(opened: Open) -> None:
    with pytest.raises(InputError, match=r"generator\.kind"):
        opened(generator__kind="extractive").ask(QUESTION, schema=SCHEMA)


def test_a_bad_schema_is_refused_before_anything_is_asked(writer: Writer, opened: Open) -> None:
    with pytest.raises(InputError, match="schema"):
        opened().ask(QUESTION, schema={"type": "nonsense"})
    assert not writer.asked
