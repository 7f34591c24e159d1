"""Other OpenAI clients, unchanged. They are no dependency: the tests run where they are installed."""

import pytest
from tests.serve.conftest import Running

QUESTION = "What does a resident parking permit cost?"


def test_langchain(quoting: Running) -> None:
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(base_url=f"{quoting.url}/v1", api_key="none", model="rag")
    whole = chat.invoke(QUESTION)
    assert "48 euros" in whole.content
    assert "".join(chunk.content for chunk in chat.stream(QUESTION)) == whole.content
    embeddings = langchain.OpenAIEmbeddings(
        base_url=f"{quoting.url}/v1",
        api_key="none",
        model="all-MiniLM-L6-v2",
        check_embedding_ctx_length=False,
    )
    assert len(embeddings.embed_query("market")) == 384


def test_llama_index(quoting: Running) -> None:
    like = pytest.importorskip("llama_index.llms.openai_like")
    model = like.OpenAILike(api_base=f"{quoting.url}/v1", api_key="none", model="rag", is_chat_model=True)
    whole = model.complete(QUESTION)
    assert "48 euros" in whole.text
    pieces = list(model.stream_complete(QUESTION))
    assert pieces[-1].text == whole.text
