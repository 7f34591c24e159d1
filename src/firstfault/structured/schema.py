"""A JSON schema, checked once: a mapping, a file or a Pydantic model in, a `Schema` that validates out.

Drafts 4 to 2020-12, by the `$schema` of the document. References are never fetched over the network.
`format` is asserted for the formats of `structured.formats`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.errors import InputError
from firstfault.files import read_text
from firstfault.structured.pointer import pointer
from firstfault.types import FormatProblem

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from pydantic import BaseModel

EVIDENCE = "x-firstfault-evidence"
"""A field whose schema holds `true` under this key must be supported by a passage; `false` exempts it."""

MOST_PROBLEMS = 20
"""Of one output that are reported; further ones say nothing new."""

MOST_BYTES = 1_000_000
"""A longer schema is refused: no prompt and no grammar would hold it."""


@dataclass(frozen=True)
class Schema:
    """A schema that is valid itself, and what it takes to hold values against it."""

    document: Mapping[str, Any]
    draft: str
    """`draft-04` ... `draft2020-12`."""
    model: "type[BaseModel] | None" = None
    """The Pydantic model that it was made from; its own validators are asked as well."""
    notes: tuple[str, ...] = ()
    """What a reader should know: a draft that was guessed, or formats that are not checked."""
    _cls: "type[Validator]" = field(repr=False, kw_only=True)

    @cached_property
    def validator(self) -> "Validator":
        """The validator of the whole schema."""
        from referencing import Registry

        from firstfault.structured.formats import checker

        nothing: Registry[Any] = Registry()  # without it jsonschema would fetch remote references
        return self._cls(self.document, registry=nothing, format_checker=checker())

    def resolve(self, reference: str) -> Any:
        """The subschema that a `$ref` names.

        Raises:
            InputError: the schema does not hold it.
        """
        from referencing.exceptions import Unresolvable

        try:
            return self._resolver.lookup(reference).contents
        except (Unresolvable, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"The schema refers to {reference!r}, which it does not hold.",
                hint="Put it under $defs; references are never fetched.",
            ) from error

    @cached_property
    def _resolver(self) -> Any:
        from referencing import Registry
        from referencing.jsonschema import specification_with

        specification = specification_with(str(self._cls.META_SCHEMA["$schema"]))
        resource = specification.create_resource(dict(self.document))
        base = resource.id() or ""
        registry: Registry[Any] = Registry().with_resource(base, resource)
        return registry.resolver(base)

    def check_references(self) -> None:
        """Resolve every reference, unless parts of the schema have addresses of their own.

        Raises:
            InputError: one leads nowhere.
        """
        references: set[str] = set()
        addressed = False
        waiting: list[tuple[Any, bool]] = [(dict(self.document), True)]
        while waiting:
            one, outermost = waiting.pop()
            if isinstance(one, dict):
                addressed |= not outermost and any(isinstance(one.get(key), str) for key in ("$id", "id"))
                reference = one.get("$ref")
                if isinstance(reference, str):
                    references.add(reference)
                waiting += [(child, False) for key, child in one.items() if key not in _PLAIN_VALUES]
            elif isinstance(one, list):
                waiting += [(child, False) for child in one]
        for reference in sorted(references) if not addressed else ():
            self.resolve(reference)

    def is_valid(self, value: Any) -> bool:
        """Whether a value satisfies the schema."""
        return not self.problems(value, most=1)

    def problems(self, value: Any, *, most: int = MOST_PROBLEMS) -> tuple[FormatProblem, ...]:
        """Which rules a value breaks, and where; empty = valid. A value that cannot be judged is not valid.

        Raises:
            InputError: the schema refers to something that it does not hold, or to itself without end.
        """
        from referencing.exceptions import Unresolvable

        found: list[FormatProblem] = []
        try:
            for error in self.validator.iter_errors(value):
                found.append(_problem(error))
                if len(found) >= most:
                    break
        except Unresolvable as error:
            raise InputError(
                f"The schema refers to {error.ref!r}, which it does not hold.",
                hint="Put it under $defs; references are never fetched.",
            ) from error
        except RecursionError as error:
            if _depth(value) < _SHALLOW:
                raise InputError(
                    "The schema refers to itself without ever reaching a value.", hint="Break the circle."
                ) from error
            found.append(FormatProblem(rule="depth", path="", message="nested too deeply to be validated"))
        except OverflowError:
            found.append(FormatProblem(rule="number_out_of_range", path="", message="a number is too large"))
        if not found and self.model is not None:
            found = _ask_model(self.model, value)[:most]
        return tuple(sorted(found, key=lambda problem: (problem.path, problem.rule, problem.message)))


_SHALLOW = 50
_PLAIN_VALUES = frozenset({"enum", "const", "default", "examples"})
"""Keywords that hold values, no schemas."""


def read_schema(path: Path) -> Schema:
    """The schema in a file.

    Raises:
        InputError: the file is missing, no JSON, or no valid schema.
    """
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not valid JSON: {error}.", hint="Give a file that holds one JSON schema."
        ) from error
    if not isinstance(document, dict):
        raise InputError(f"{path} holds no JSON object.", hint="Give a file that holds one JSON schema.")
    return compile_schema(document)


def compile_schema(source: "Mapping[str, Any] | type[BaseModel]") -> Schema:
    """A schema from plain JSON values or from a Pydantic model class, checked against its own draft.

    Raises:
        InputError: it is no valid JSON schema, larger than `MOST_BYTES`, of an unknown draft, or its
            references lead nowhere.
    """
    from jsonschema import Draft4Validator, Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for

    model: type[BaseModel] | None = None
    if isinstance(source, type):
        model = source
        document: Mapping[str, Any] = source.model_json_schema()
    else:
        document = source
    notes: list[str] = []
    try:
        size = len(json.dumps(document, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"The schema is not plain JSON: {error}.", hint="Use JSON values only.") from error
    if size > MOST_BYTES:
        raise InputError(
            f"The schema has {size:,} bytes; at most {MOST_BYTES:,} are accepted.",
            hint="Give the part that this answer needs.",
        )
    named = str(document.get("$schema", "")).rstrip("#")
    cls = validator_for(document, default=Draft202012Validator)
    known = str(cls.META_SCHEMA.get("$schema", "")).rstrip("#")
    if named and named != known:
        raise InputError(
            f"The schema is written for {named!r}, which is not known.",
            hint="Name a draft from 4 to 2020-12 in $schema, or leave it out.",
        )
    try:
        cls.check_schema(dict(document))
    except SchemaError as error:
        if named or not _is_draft4(document):
            where = pointer(error.absolute_path)
            raise InputError(
                f"The schema is not valid at {where or 'its root'}: {_short(error.message)}.",
                hint="Correct the schema.",
            ) from error
        cls = Draft4Validator
        notes.append("read as draft 4: it is no valid schema of 2020-12, and names no draft")
    except RecursionError as error:
        raise InputError("The schema is nested too deeply.", hint="Use $ref to flatten it.") from error
    draft = str(cls.META_SCHEMA["$schema"]).rstrip("#").removesuffix("/schema").rsplit("/", 1)[-1]
    schema = Schema(document, draft, model, tuple(notes), _cls=cls)
    schema.check_references()
    probes: tuple[Any, ...] = (None, {}, [], "", 0)
    for probe in probes:
        schema.problems(probe, most=1)  # a circle of references shows before anything is generated
    return schema


def _is_draft4(document: Mapping[str, Any]) -> bool:
    from jsonschema import Draft4Validator, SchemaError

    try:
        Draft4Validator.check_schema(dict(document))
    except SchemaError:
        return False
    return True


def _problem(error: Any) -> FormatProblem:
    """A validation error; of alternatives (anyOf, oneOf) the one that came nearest is quoted."""
    message = _short(error.message)
    if error.context and "more than one" not in error.message:
        nearest = error
        while nearest.context:
            nearest = max(nearest.context, key=lambda one: len(one.absolute_path))
        place = pointer(nearest.absolute_path) or "the whole"
        message = f"none of the alternatives fits; the nearest: {place}: {_short(nearest.message)}"
    return FormatProblem(rule=str(error.validator), path=pointer(error.absolute_path), message=message)


def _ask_model(model: "type[BaseModel]", value: Any) -> list[FormatProblem]:
    """What the model's own validators say that its schema cannot express."""
    from pydantic import ValidationError

    try:
        model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        return [
            FormatProblem(rule=f"model:{one['type']}", path=pointer(one["loc"]), message=_short(one["msg"]))
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    return []


def _depth(value: Any) -> int:
    """Levels of nesting."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, level = waiting.pop()
        deepest = max(deepest, level)
        if isinstance(one, dict):
            waiting += [(child, level + 1) for child in one.values()]
        elif isinstance(one, list):
            waiting += [(child, level + 1) for child in one]
    return deepest


def _short(message: str) -> str:
    """Messages of validators quote whole values: the first and last words are enough."""
    return message if len(message) <= 200 else f"{message[:140]} … {message[-50:]}"
