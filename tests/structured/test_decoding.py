import json
import re
from typing import Any

import pytest

from firstfault.models import LlamaGenerator, store
from firstfault.structured import compile_schema
from firstfault.structured.decoding import LARGEST_INTEGER, WRITTEN_AS, offers, plain
from firstfault.structured.outline import compact, outline


def offered(document: dict[str, Any], *, max_string: int = 50, max_items: int = 5) -> list[Any]:
    versions = offers(compile_schema(document), max_string=max_string, max_items=max_items)
    return [offer.schema for offer in versions]


def test_what_has_no_limit_gets_one_and_what_has_keeps_it() -> None:
    document = {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "string", "maxLength": 9},
            "c": {"type": "array", "items": {"type": "integer"}},
            "d": {"type": "string", "minLength": 80},
            "e": {"enum": ["x"], "type": "string"},
            "f": {"type": "object"},
            "g": {"type": "string", "pattern": "^a+$"},
        },
        "required": ["a"],
    }
    properties = offered(document)[0]["properties"]
    assert properties["a"] == {"type": "string", "maxLength": 50}
    assert properties["b"]["maxLength"] == 9
    assert properties["c"]["maxItems"] == 5
    assert properties["c"]["items"]["maximum"] == LARGEST_INTEGER
    assert properties["d"]["maxLength"] == 80
    assert properties["e"] == document["properties"]["e"]  # type: ignore[index]
    assert properties["f"]["maxProperties"] == 5
    assert "maxLength" not in properties["g"]
    assert offered(document)[0]["additionalProperties"] is False
    assert offered(document, max_string=0, max_items=0)[0] == document


@pytest.mark.parametrize(
    "document",
    [
        {"type": "object", "properties": {"a": {}}, "required": ["b"]},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "null"}},
        {"type": "object", "properties": {"a": {}}, "patternProperties": {"^x": {}}},
        {"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["a"]}]},
    ],
)
def test_an_object_is_closed_only_where_nothing_can_be_missed(document: dict[str, Any]) -> None:
    assert offered(document)[0].get("additionalProperties") == document.get("additionalProperties")


def test_parts_of_a_composition_stay_open() -> None:
    part = {"type": "object", "properties": {"a": {"type": "null"}}}
    (whole, *_) = offered({"allOf": [part, {"$ref": "#/$defs/b"}], "$defs": {"b": part}})
    assert whole["allOf"][0] == part
    assert whole["$defs"]["b"] == part


def test_what_no_grammar_expresses_is_left_out_and_named() -> None:
    schema = compile_schema(
        {
            "type": "object",
            "properties": {
                "a": {"type": "array", "uniqueItems": True},
                "b": {"type": "string", "format": "idn-email"},
                "c": {"type": "string", "format": "date"},
                "d": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
                "not": {"type": "string", "x-firstfault-evidence": True},
            },
            "if": {"required": ["a"]},
            "then": {"required": ["b"]},
        }
    )
    full, relaxed, *_ = offers(schema, max_string=0, max_items=0)
    assert full.unenforced == ()
    assert "x-firstfault-evidence" not in json.dumps(full.schema)
    assert set(relaxed.unenforced) == {
        "uniqueItems at /properties/a",
        "format at /properties/b",
        "oneOf at /properties/d: at most one alternative",
        "if at the root",
        "then at the root",
    }
    assert relaxed.schema["properties"]["c"]["format"] == "date"
    assert "anyOf" in relaxed.schema["properties"]["d"]
    assert "not" in relaxed.schema["properties"]


def test_an_endpoint_gets_the_schema_without_our_marks_and_limits() -> None:
    document = {"type": "string", "x-firstfault-evidence": True, "minLength": 2}
    assert plain(compile_schema(document)) == {"type": "string", "minLength": 2}


def test_the_prompt_shows_the_schema_or_its_outline() -> None:
    schema = compile_schema(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "title": {"type": "string", "title": "Title"},
                "kind": {"enum": ["a", "b"]},
                "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            },
            "required": ["title"],
            "$defs": {"item": {"type": "object", "properties": {"next": {"$ref": "#/$defs/item"}}}},
        }
    )
    shown = json.loads(compact(schema))
    assert "$schema" not in shown
    assert shown["properties"]["title"] == {"type": "string"}
    lines = outline(schema).splitlines()
    assert lines[:4] == [
        "title: string",
        'kind: "a" | "b" (optional)',
        "items: array (optional)",
        "  next: object (optional)",
    ]
    assert len(lines) < 20


async def test_the_offers_are_what_the_embedded_engine_takes() -> None:
    """Which version the real engine can be held to: the full one, or one that leaves something out."""
    store.ensure("SmolLM2-135M-Instruct")
    generator = LlamaGenerator(context_window=512, threads=2)
    left = {}
    documents: dict[str, dict[str, Any]] = {
        "plain": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}},
        "recursive": {
            "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}},
            "$ref": "#/$defs/n",
        },
        "large": {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(300)}},
        "unique": {"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True},
        "lookahead": {"type": "string", "pattern": "^(?=a)b"},
    }
    for name, document in documents.items():
        versions = offers(compile_schema(document), max_string=50, max_items=5)
        held = await generator.constrain([version.schema for version in versions])
        assert held is not None
        left[name] = versions[held.rung].unenforced
    await generator.aclose()
    assert left == {
        "plain": (),
        "recursive": (),
        "large": (),
        "unique": ("uniqueItems at the root",),
        "lookahead": ("pattern at the root",),
    }


def test_after_a_cut_only_what_must_be_there_is_offered() -> None:
    node = {
        "type": "object",
        "properties": {"v": {"type": "string"}, "note": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
        "required": ["v"],
        "additionalProperties": {"type": "integer"},
    }
    schema = compile_schema(
        {
            "type": "object",
            "properties": {
                "nodes": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "b": node,
                "c": node,
            },
            "$defs": {"node": node},
        }
    )
    lean = offers(schema, max_string=400, max_items=12, lean=True)[0].schema
    assert set(lean["properties"]) == {"nodes", "b"}  # nothing is required: the first two
    assert lean["properties"]["nodes"]["maxItems"] == 2
    assert lean["properties"]["b"]["properties"] == {"v": {"type": "string", "maxLength": 80}}
    assert lean["properties"]["b"]["additionalProperties"] is False
    assert lean["$defs"]["node"] == lean["properties"]["b"]  # what would nest for ever is left out


def test_where_anything_goes_a_scalar_is_written() -> None:
    document = {
        "properties": {
            "a": {},
            "b": {"type": "object"},
            "c": {"type": "array"},
            "d": {"description": "?"},
            "e": True,
        }
    }
    (whole, *_) = offered(document)
    assert whole["type"] == "object"
    scalars = whole["properties"]["a"]["anyOf"]
    assert {one["type"] for one in scalars} == {"string", "integer", "number", "boolean", "null"}
    assert scalars[0]["maxLength"] == 50
    assert whole["properties"]["b"]["additionalProperties"]["anyOf"] == scalars
    assert whole["properties"]["c"]["items"]["anyOf"] == scalars
    assert whole["properties"]["d"]["anyOf"] == whole["properties"]["e"]["anyOf"] == scalars
    assert offered(document, max_string=0, max_items=0)[0] == document


@pytest.mark.parametrize("name", sorted(WRITTEN_AS))
def test_a_format_that_engines_do_not_know_is_written_as_a_narrower_pattern(name: str) -> None:
    document = {"type": "string", "format": name}
    narrow = offered(document)[1]
    assert "format" not in narrow
    schema = compile_schema({**narrow, **document})
    texts = ("https://example.org/a", "a/b-c.d", "/a/b", "not one", "a:b")
    fitting = [text for text in texts if re.search(narrow["pattern"], text)]
    assert fitting
    assert all(schema.is_valid(text) for text in fitting)
