"""What the OpenAI-compatible paths take. What cannot be honoured is refused by name, never passed over."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from firstfault.serve.schemas import COLLECTION


class OpenAIBody(BaseModel):
    """A body in OpenAI's shape: fields that we do not know are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Part(BaseModel):
    """A part of a message; only text can be read."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text"]
    text: str


class Turn(BaseModel):
    """A message."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None
    name: str | None = None

    def text(self) -> str:
        """Its words."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    """What a stream carries besides text."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class JsonSchema(BaseModel):
    """A named schema."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    name: str = "answer"
    definition: dict[str, JsonValue] = Field(default_factory=dict, alias="schema")


class ResponseFormat(OpenAIBody):
    """What the answer must look like."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Retrieval(OpenAIBody):
    """Ours, for `rag` and `hybrid`; with the SDK: extra_body={"firstfault": {...}}."""

    collection: str = Field(default="default", pattern=COLLECTION)
    where: str | None = Field(default=None, max_length=4000)
    policy: Literal["annotate", "strip", "abstain"] | None = None
    timeout_s: float | None = Field(default=None, ge=1, le=3600)
    adapter: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        description="With `hybrid`: another adapter than the configured or the only released one.",
    )


class ChatBody(OpenAIBody):
    """A chat completion."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {"model": "rag", "messages": [{"role": "user", "content": "What does math.gcd return?"}]}
            ]
        },
    )

    model: str = Field(max_length=200)
    messages: list[Turn] = Field(min_length=1, max_length=1000)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    n: Literal[1] | None = None
    top_p: Annotated[float | None, Field(ge=1, le=1, description="Only 1.")] = None
    presence_penalty: Annotated[float | None, Field(ge=0, le=0, description="Only 0.")] = None
    frequency_penalty: Annotated[float | None, Field(ge=0, le=0, description="Only 0.")] = None
    logprobs: Literal[False] | None = None
    tools: Annotated[list[Any] | None, Field(max_length=0, description="Not available.")] = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    store: bool | None = None
    metadata: dict[str, JsonValue] | None = None
    service_tier: str | None = None
    parallel_tool_calls: bool | None = None
    firstfault: Retrieval = Field(default_factory=Retrieval)


class EmbeddingsBody(OpenAIBody):
    """Texts to embed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"model": "all-MiniLM-L6-v2", "input": "What does math.gcd return?"}]
        },
    )

    model: str = Field(max_length=200)
    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(default=None, ge=1)
    user: str | None = None
