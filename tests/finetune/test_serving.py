"""Adapters on the way to an answer: named, checked, and never mixed up."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.finetune.records import run
from tests.models.test_llama import write_adapter

from firstfault.answer.application import Application, find_adapter, open_generator
from firstfault.answer.prompt import lone_messages
from firstfault.config import GeneratorConfig, load
from firstfault.errors import ConfigError, MismatchError, MissingError
from firstfault.finetune import Candidate, publish
from firstfault.finetune.data import Row, write_dataset
from firstfault.finetune.line import asks_alike
from firstfault.models.llama import LlamaGenerator
from firstfault.types import Message, Verdict

PASSED = (Verdict(name="applied", status="ok"),)
PREFIX = "You answer in one short sentence, politely, and never say that you do not know."


async def said(generator: LlamaGenerator, question: str) -> str:
    turns = (Message(role="system", content=PREFIX), Message(role="user", content=question))
    return "".join([delta.text async for delta in generator.stream(turns, max_tokens=6)])


@pytest.mark.parametrize("alike", [True, False])
def test_examples_that_hold_the_instructions_of_ask_are_told_from_others(tmp_path: Path, alike: bool) -> None:
    turns = lone_messages("Who are you?") if alike else (Message(role="user", content="Who are you?"),)
    row = Row(place="1", messages=(*turns, Message(role="assistant", content="A parrot.")))
    write_dataset([row], tmp_path / "training.jsonl")
    assert asks_alike(replace(run(), folder=tmp_path)) is alike


async def test_adapters_and_the_base_model_asked_in_turn_do_not_mix(tmp_path: Path) -> None:
    """Three settings in one process, a shared prefix, asked in turn: each always answers as itself."""
    for given, scale in (("a", 1.0), ("b", 3.0)):
        write_adapter(tmp_path / f"{given}.gguf", scale)
        passed = Candidate(gguf=tmp_path / f"{given}.gguf", base="x", base_digest="", verdicts=PASSED)
        publish(tmp_path / "home", given, passed)
    config = load(tmp_path / "home", overrides={"generator.context_window": "512"}, environment={})
    app = Application(config)
    answers: dict[str | None, set[tuple[str, ...]]] = {None: set(), "a": set(), "b": set()}
    for _ in range(3):
        for name, seen in answers.items():
            generator = app.generator(config.settings.generator.model_copy(update={"adapter": name}))
            assert isinstance(generator, LlamaGenerator)
            assert (generator.adapter and generator.adapter.name) == name
            seen.add((await said(generator, "Why is the sky blue?"), await said(generator, "Who are you?")))
    await app.aclose()
    assert all(len(seen) == 1 for seen in answers.values())
    assert len({next(iter(seen)) for seen in answers.values()}) == 3


def test_an_adapter_of_another_base_model_is_refused(tmp_path: Path) -> None:
    write_adapter(tmp_path / "a.gguf", 1.0)
    foreign = Candidate(gguf=tmp_path / "a.gguf", base="7B", base_digest="other", verdicts=PASSED)
    publish(tmp_path, "a", foreign)
    settings = GeneratorConfig(adapter="a")
    with pytest.raises(MismatchError, match="trained for another model"):
        open_generator(settings, adapter=find_adapter(settings, tmp_path))


def test_an_adapter_is_looked_for_where_the_kind_of_generator_has_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="No adapter 'tickets'"):
        find_adapter(GeneratorConfig(adapter="tickets"), tmp_path)
    with pytest.raises(ConfigError, match="no model that an adapter could change"):
        find_adapter(GeneratorConfig(kind="extractive", adapter="tickets"), tmp_path)
    with pytest.raises(ConfigError, match="by its name, not as a file"):
        find_adapter(GeneratorConfig(kind="openai", adapter="a.gguf"), tmp_path)
    remote = open_generator(GeneratorConfig(kind="openai", base_url="http://x/v1", model="base", adapter="t"))
    assert remote is not None
    assert remote.adapter is not None
    assert (remote.name, remote.adapter.name) == ("base", "t")
