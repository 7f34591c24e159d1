"""The OpenAI-compatible API, through the real SDK."""

import json
from typing import Any

import openai
import pytest
from tests.serve.conftest import Endpoint, Running, Serve

QUESTION: Any = [{"role": "user", "content": "What does a resident parking permit cost?"}]


@pytest.fixture
def client(quoting: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{quoting.url}/v1", api_key="none", max_retries=0)


def test_a_completion_with_annotations(client: openai.OpenAI) -> None:
    with client:
        done = client.chat.completions.create(model="rag", messages=QUESTION)
    message = done.choices[0].message
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None
    assert message.content is not None
    assert message.annotations
    for annotation in message.annotations:
        place = annotation.url_citation
        mark = message.content[place.start_index : place.end_index]
        assert mark == f"[{message.annotations.index(annotation) + 1}]"
        assert place.url.endswith("/documents/parking.md")
    assert message.model_extra is not None
    assert message.model_extra["citations"][0]["document_id"] == "parking.md"


def test_a_stream_says_the_same_as_a_completion(client: openai.OpenAI) -> None:
    with client:
        whole = client.chat.completions.create(model="rag", messages=QUESTION).choices[0].message
        text, annotations, roles, finishes, used = "", [], [], [], None
        for chunk in client.chat.completions.create(
            model="rag", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        ):
            if not chunk.choices:
                used = chunk.usage
                continue
            choice = chunk.choices[0]
            text += choice.delta.content or ""
            annotations += (choice.delta.model_extra or {}).get("annotations", [])
            roles += [choice.delta.role] if choice.delta.role else []
            finishes += [choice.finish_reason] if choice.finish_reason else []
    assert text == whole.content
    assert annotations == [one.model_dump() for one in whole.annotations or []]
    assert (roles, finishes) == (["assistant"], ["stop"])
    assert used is not None


def test_models_are_listed(client: openai.OpenAI) -> None:
    with client:
        names = [model.id for model in client.models.list()]
        assert names == ["rag", "all-MiniLM-L6-v2"]
        assert client.models.retrieve("rag").owned_by == "firstfault"


def test_embeddings_are_those_of_the_embedder(client: openai.OpenAI, quoting: Running) -> None:
    with client:
        found = client.embeddings.create(model="all-MiniLM-L6-v2", input=["one", "two"])
        plain = client.embeddings.create(model="all-MiniLM-L6-v2", input="two", encoding_format="float")
    ours = quoting.server.engine.parts.embedder().embed(["one", "two"])
    assert found.data[0].embedding == pytest.approx(ours[0].tolist(), abs=1e-6)
    assert plain.data[0].embedding == pytest.approx(ours[1].tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError),
        ({"top_p": 0.5}, openai.UnprocessableEntityError),
        ({"n": 2}, openai.UnprocessableEntityError),
        ({"max_tokens": 10**6}, openai.BadRequestError),
        ({"stop": ["x"]}, openai.BadRequestError),
        ({"messages": [{"role": "assistant", "content": "x"}]}, openai.BadRequestError),
        ({"messages": [{"role": "user", "content": " "}]}, openai.BadRequestError),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, openai.UnprocessableEntityError),
        ({"extra_body": {"firstfault": {"where": "absent = 1"}}}, openai.BadRequestError),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    client: openai.OpenAI, request_: dict[str, Any], error: type[openai.APIStatusError]
) -> None:
    with client, pytest.raises(error) as refused:
        client.chat.completions.create(**{"model": "rag", "messages": QUESTION, **request_})
    assert refused.value.body is not None
    assert set(refused.value.body) >= {"message", "type", "param", "code", "trace_id"}  # type: ignore[call-overload]


def test_earlier_turns_are_an_event_and_not_a_secret(client: openai.OpenAI, quoting: Running) -> None:
    turns: Any = [{"role": "system", "content": "Be brief."}, *QUESTION]
    with client:
        done = client.chat.completions.create(model="rag", messages=turns)
    assert "earlier_messages_ignored" in quoting.trace_events(done.id.removeprefix("chatcmpl-"))


def test_the_model_alone(serve: Serve, endpoint: Endpoint) -> None:
    endpoint.text = "Hello there."
    server = serve(endpoint.settings())
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        turns: Any = [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
        done = client.chat.completions.create(model="base", messages=turns, max_tokens=9, temperature=0.5)
        streamed = "".join(
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(model="base", messages=turns, stream=True)
        )
    assert done.choices[0].message.content == streamed == "Hello there."
    asked = endpoint.asked[0]
    assert (asked["max_tokens"], asked["temperature"]) == (9, 0.5)
    assert [turn["role"] for turn in asked["messages"]] == ["system", "user"]


def test_an_answer_meets_its_schema(serve: Serve, endpoint: Endpoint) -> None:
    endpoint.text = '{"price": 48}'
    server = serve(endpoint.settings())
    schema = {"type": "object", "properties": {"price": {"type": "integer"}}, "required": ["price"]}
    response = server.post(
        "/v1/chat/completions",
        {
            "model": "rag",
            "messages": QUESTION,
            "response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": schema}},
        },
    )
    assert json.loads(response.json()["choices"][0]["message"]["content"]) == {"price": 48}


def test_a_schema_is_never_answered_with_quotes(serve: Serve, endpoint: Endpoint) -> None:
    endpoint.mode = "error"
    server = serve(endpoint.settings())
    body = {"question": "What does a resident parking permit cost?", "schema": {"type": "object"}}
    assert server.post("/ask", body).status_code == 503
