"""Every OpenTelemetry name that is used, in one place: the GenAI semantic conventions, and our own."""

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
DATA_SOURCE = "gen_ai.data_source.id"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - an attribute's name
ERROR_TYPE = "error.type"

EVALUATION_RESULT = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"

METRIC_DURATION = "gen_ai.client.operation.duration"
METRIC_TOKENS = "gen_ai.client.token.usage"
METRIC_FIRST_TOKEN = "gen_ai.server.time_to_first_token"  # noqa: S105 - a metric's name

TRACE_ID = "firstfault.trace.id"
STATUS = "firstfault.status"
STAGE = "firstfault.stage"
STAGE_PREFIX = "firstfault.stage."
QUESTION = "firstfault.question"
ANSWER = "firstfault.answer"
CORPUS_VERSION = "firstfault.corpus.version"
FINGERPRINT = "firstfault.settings.fingerprint"
METRIC_STAGE = "firstfault.stage.duration"

INVOKE = "invoke_workflow"
CHAT = "chat"
RETRIEVAL = "retrieval"
EMBEDDINGS = "embeddings"

OPERATION_OF_STAGE = {"embed": EMBEDDINGS, "index": RETRIEVAL, "generate": CHAT}
"""The GenAI operation that a stage is, where it is one."""
PROVIDER_OF_KIND = {"llama": "firstfault", "extractive": "firstfault", "openai": "openai"}
