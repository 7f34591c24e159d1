import asyncio
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from bench.hashed import HashedEmbedder

from firstfault.drill.answerer import Reply
from firstfault.drill.behaviours import CHAT, EMBEDDINGS
from firstfault.drill.proxy import Plan, Planned, Proxy
from firstfault.drill.upstream import LocalUpstream, RemoteUpstream
from firstfault.errors import InputError, RemoteError
from firstfault.models.endpoint import Endpoint
from firstfault.models.openai_embedder import OpenAIEmbedder
from firstfault.models.remote import OpenAIGenerator
from firstfault.types import Message

HONEST = "The pump was built in 1987 [1]. It is red [2]."


class _Parrot:
    """Always says the same."""

    def __init__(self, text: str = HONEST) -> None:
        self.text = text

    def chat(self, _request: object) -> Reply:
        return Reply(text=self.text)

    def models(self) -> list[str]:
        return ["parrot"]


PROMPT = (
    Message(
        role="user",
        content='<passage number="1" title="A">\nx y z\n</passage>\n\n<passage number="2" title="B">\nz\n'
        "</passage>\n\nQuestion: When was the pump built?",
    ),
)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(LocalUpstream(chat=_Parrot(), embedder=HashedEmbedder(dimension=64))) as running:
        yield running


@pytest.fixture
def embedders() -> Iterator[Callable[[Proxy], OpenAIEmbedder]]:
    """Makes clients and closes them."""
    made: list[OpenAIEmbedder] = []

    def make(proxy: Proxy) -> OpenAIEmbedder:
        made.append(OpenAIEmbedder(base_url=proxy.base_url, model="hashed"))
        return made[-1]

    yield make
    for one in made:
        one._client.close()


Embedders = Callable[[Proxy], OpenAIEmbedder]


def _ask(proxy: Proxy, *faults: Planned, timeout_s: float = 60.0, attempts: int = 1) -> str:
    proxy.plan.faults = faults

    async def talk() -> str:
        generator = OpenAIGenerator(
            base_url=proxy.base_url, model="parrot", attempts=attempts, timeout_s=timeout_s
        )
        try:
            pieces = [d.text async for d in generator.stream(PROMPT, max_tokens=64, timeout_s=timeout_s)]
        finally:
            await generator.aclose()
        return "".join(pieces)

    return asyncio.run(talk())


def test_without_a_fault_the_upstream_is_heard(proxy: Proxy) -> None:
    assert _ask(proxy) == HONEST
    assert Endpoint(base_url=proxy.base_url, model="parrot").list_models() == ["hashed", "parrot"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("always_abstains", "The sources do not say."),
        ("missing_citations", "The pump was built in 1987. It is red."),
        ("shifted_citations", "The pump was built in 1987 [2]. It is red [1]."),
        ("padded_citations", "The pump was built in 1987 [1][2]. It is red [1][2]."),
        ("never_abstains", HONEST),
    ],
)
def test_a_fault_changes_what_is_said(proxy: Proxy, name: str, said: str) -> None:
    assert _ask(proxy, Planned(name=name)) == said
    assert proxy.plan.struck == 1


@pytest.mark.parametrize("name", ["contradicts_context", "stale_knowledge", "ignores_context"])
def test_wrong_answers_keep_their_marks_and_are_the_same_twice(proxy: Proxy, name: str) -> None:
    said = _ask(proxy, Planned(name=name))
    assert said != HONEST
    assert "1987" not in said
    assert "[1]" in said
    assert said == _ask(proxy, Planned(name=name))


def test_fabricated_marks_name_no_passage(proxy: Proxy) -> None:
    said = _ask(proxy, Planned(name="fabricated_citations"))
    assert "[1]" not in said
    assert "[2]" not in said


def test_the_rate_is_kept_and_decided_by_the_question() -> None:
    plan, fault = Plan(seed=4), Planned(name="resets", rate=0.3)
    hit = [plan.strikes(fault, f"question {n}") for n in range(2000)]
    assert 0.26 < sum(hit) / len(hit) < 0.34
    assert hit == [plan.strikes(fault, f"question {n}") for n in range(2000)]
    assert hit != [Plan(seed=5).strikes(fault, f"question {n}") for n in range(2000)]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("hangs", "did not answer in time"), ("resets", "broke off"), ("server_errors", "500")],
)
def test_failures_reach_the_client_as_such(proxy: Proxy, name: str, complaint: str) -> None:
    with pytest.raises(RemoteError, match=complaint):
        _ask(proxy, Planned(name=name), timeout_s=1.0 if name == "hangs" else 60.0)


def test_two_faults_strike_together(proxy: Proxy) -> None:
    both = (Planned(name="missing_citations"), Planned(name="slow_first_token", delay_s=0.01))
    assert _ask(proxy, *both) == "The pump was built in 1987. It is red."
    assert proxy.plan.struck == 2


def test_json_is_broken_in_the_way_that_was_asked_for() -> None:
    honest = json.dumps({"answer": "yes", "n": 1})
    with Proxy(LocalUpstream(chat=_Parrot(honest))) as proxy:
        assert json.loads(_ask(proxy, Planned(name="wrong_types"))) == {"answer": ["yes"], "n": "1"}
        assert set(json.loads(_ask(proxy, Planned(name="extra_keys")))) > {"answer", "n"}
        assert json.loads(_ask(proxy, Planned(name="missing_keys"))) == {"n": 1}
        for name in ("invalid_json", "prose_around_json", "truncated_reply"):
            with pytest.raises(ValueError, match=r"Expecting|Unterminated|Extra|Illegal"):
                json.loads(_ask(proxy, Planned(name=name)))


@pytest.mark.parametrize("name", ["contradicts_context", "stale_knowledge", "ignores_context"])
def test_a_wrong_answer_in_json_is_still_json(name: str) -> None:
    with Proxy(LocalUpstream(chat=_Parrot(json.dumps({"answer": HONEST, "sources": [1]})))) as proxy:
        said = json.loads(_ask(proxy, Planned(name=name)))
    assert said["sources"] == [1]
    assert "1987" not in said["answer"]


def test_faults_of_the_format_leave_abstentions_alone() -> None:
    with Proxy(LocalUpstream(chat=_Parrot("The sources do not say."))) as proxy:
        assert _ask(proxy, Planned(name="invalid_json")) == "The sources do not say."


@pytest.mark.parametrize("name", sorted(EMBEDDINGS))
def test_bad_vectors_keep_their_dimension_and_are_the_same_twice(
    proxy: Proxy, embedders: Embedders, name: str
) -> None:
    texts = ["the red pump", "the long bridge", "a tower"]
    embedder = embedders(proxy)
    honest = embedder.embed(texts)
    proxy.plan.faults = (Planned(name=name, rate=0.9),)
    bad = embedder.embed(texts)
    assert bad.shape == honest.shape
    assert not np.allclose(bad, honest, atol=0.05)
    assert np.array_equal(bad, embedder.embed(texts))


def test_truncated_input_hides_the_end_of_a_text(proxy: Proxy, embedders: Embedders) -> None:
    embedder = embedders(proxy)
    proxy.plan.faults = (Planned(name="truncated_input", rate=1.0),)
    first, second = embedder.embed(["the red pump in the cellar", "the red bridge"])
    assert np.allclose(first, second, atol=1e-6)


def test_it_stands_in_front_of_any_endpoint(proxy: Proxy, embedders: Embedders) -> None:
    with Proxy(RemoteUpstream(proxy.base_url)) as outer:
        assert _ask(outer) == HONEST
        assert _ask(outer, Planned(name="missing_citations")) == "The pump was built in 1987. It is red."
        near = embedders(proxy).embed(["a pump"])
        far = embedders(outer).embed(["a pump"])
        assert np.allclose(near, far, atol=1e-6)
        assert "parrot" in Endpoint(base_url=outer.base_url, model="parrot").list_models()


def test_an_upstream_that_is_gone_is_a_bad_gateway() -> None:
    with Proxy(LocalUpstream()) as gone:
        address = gone.base_url
    with Proxy(RemoteUpstream(address)) as outer, pytest.raises(RemoteError, match="502"):
        _ask(outer)


def test_unknown_faults_and_taken_ports_are_refused(proxy: Proxy) -> None:
    with pytest.raises(InputError, match="No fault 'gremlins'"):
        Planned(name="gremlins")
    port = int(proxy.base_url.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(InputError, match="cannot be used"):
        Proxy(LocalUpstream(), port=port)


def test_every_behaviour_has_a_name_that_says_it() -> None:
    assert all(name.replace("_", "").isalpha() for name in (*CHAT, *EMBEDDINGS))
