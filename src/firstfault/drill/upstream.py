"""What stands behind the proxy: models in this process, or another OpenAI-compatible endpoint.

In: requests of the chat completions and embeddings APIs, as parsed JSON. Out: replies and vectors.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from firstfault.drill.answerer import Reply
from firstfault.errors import InputError, RemoteError
from firstfault.models.embedder import Embedder, FloatArray


class ChatModel(Protocol):
    """Answers chat requests."""

    def chat(self, request: Mapping[str, Any]) -> Reply:
        """The whole reply to a request."""

    def models(self) -> list[str]:
        """Names of what is served."""


class Upstream(Protocol):
    """Answers chat and embedding requests."""

    def chat(self, request: Mapping[str, Any], authorization: str | None) -> Reply:
        """The whole reply to a request."""

    def embed(self, request: Mapping[str, Any], authorization: str | None) -> FloatArray:
        """Return (texts, dimension) vectors of `request["input"]`."""

    def models(self, authorization: str | None) -> list[str]:
        """Names of what is served."""


class LocalUpstream:
    """A chat model and an embedder in this process; either may be absent."""

    def __init__(self, *, chat: ChatModel | None = None, embedder: Embedder | None = None) -> None:
        self.chat_model = chat
        self.embedder = embedder

    def chat(self, request: Mapping[str, Any], _authorization: str | None) -> Reply:
        """See `Upstream.chat`."""
        if self.chat_model is None:
            raise RemoteError("No chat model is served here.", hint="Ask for embeddings.")
        return self.chat_model.chat(request)

    def embed(self, request: Mapping[str, Any], _authorization: str | None) -> FloatArray:
        """See `Upstream.embed`."""
        if self.embedder is None:
            raise RemoteError("No embedder is served here.", hint="Ask for chat completions.")
        return self.embedder.embed(texts_of(request))

    def models(self, _authorization: str | None) -> list[str]:
        """See `Upstream.models`."""
        served = self.chat_model.models() if self.chat_model else []
        return served + ([self.embedder.name] if self.embedder else [])


class RemoteUpstream:
    """Another endpoint. The caller's own key is passed on and never stored."""

    def __init__(self, base_url: str, *, timeout_s: float = 120.0) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise InputError(
                f"--upstream {base_url!r} is not an HTTP address.", hint="Write http://127.0.0.1:8000/v1."
            )
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s

    def chat(self, request: Mapping[str, Any], authorization: str | None) -> Reply:
        """The whole reply: a fault needs all of it, so it is not streamed on this side."""
        body = {name: value for name, value in request.items() if name not in ("stream", "stream_options")}
        choice = self._post("chat/completions", body, authorization)["choices"][0]
        text = str(choice["message"].get("content") or "")
        return Reply(text=text, finish_reason=choice.get("finish_reason") or "stop")

    def embed(self, request: Mapping[str, Any], authorization: str | None) -> FloatArray:
        """See `Upstream.embed`."""
        body = {**request, "encoding_format": "float", "input": texts_of(request)}
        rows = sorted(self._post("embeddings", body, authorization)["data"], key=lambda row: row["index"])
        return np.array([row["embedding"] for row in rows], dtype=np.float32)

    def models(self, authorization: str | None) -> list[str]:
        """See `Upstream.models`."""
        return [str(row["id"]) for row in self._request("GET", "models", None, authorization)["data"]]

    def _post(self, path: str, body: Mapping[str, Any], authorization: str | None) -> Any:
        return self._request("POST", path, body, authorization)

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, authorization: str | None
    ) -> Any:
        headers = {"Content-Type": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        data = json.dumps(body).encode() if body is not None else None
        address = f"{self.base_url}/{path}"
        request = urllib.request.Request(address, data, headers, method=method)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:  # noqa: S310
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            said = error.read(200).decode(errors="replace")
            message = f"{self.base_url} answered {error.code}: {said}"
            raise RemoteError(message, hint="Check --upstream, the model and the key.") from error
        except (OSError, ValueError) as error:
            message = f"{self.base_url} cannot be reached ({type(error).__name__})."
            raise RemoteError(message, hint="Check --upstream.") from error


def texts_of(request: Mapping[str, Any]) -> Sequence[str]:
    """The texts of an embeddings request."""
    given = request["input"]
    return [given] if isinstance(given, str) else [str(text) for text in given]
