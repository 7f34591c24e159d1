"""An OpenAI-compatible endpoint: its address and key, its errors in plain words, and when to try again.

Shared by the remote generator and the remote embedder. The `openai` SDK is imported when it is used.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firstfault.errors import ConfigError, DeadlineError, FirstfaultError, InputError, RemoteError

if TYPE_CHECKING:
    import openai

_MAX_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a remote model is, and how to get in."""

    base_url: str
    """For example `https://api.openai.com/v1`."""
    model: str
    api_key_env: str = ""
    """Name of the environment variable that holds the key; empty when the endpoint needs none."""
    timeout_s: float = 60.0
    """Longest wait for a connection, or for the next bytes of a reply."""
    attempts: int = 3
    """How often a request is tried in all when it fails for a passing reason."""

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            message = f"base_url = {self.base_url!r} is not an HTTP address."
            raise ConfigError(message, hint="Set it to something like https://api.openai.com/v1.")
        if not self.model:
            raise ConfigError("No model is named.", hint=f"Set model to one that {self.base_url} serves.")

    def key(self) -> str:
        """The key from the environment; raises ConfigError when the variable is not set."""
        if not self.api_key_env:
            return "none"
        key = os.environ.get(self.api_key_env, "")
        if not key:
            message = f"The environment variable {self.api_key_env} is not set."
            raise ConfigError(message, hint=f"Set it to the key for {self.base_url}.")
        return key

    def list_models(self) -> list[str]:
        """Names of the models that the endpoint lists; raises what `explain` makes of a failure."""
        import openai

        client = openai.OpenAI(
            base_url=self.base_url, api_key=self.key(), timeout=self.timeout_s, max_retries=0
        )
        try:
            with client:
                return sorted(entry.id for entry in client.models.list())
        except Exception as error:
            raise self.explain(error) from error

    def wait_before_retry(self, error: Exception) -> bool | float:
        """For stamina: False = do not try again, True = with its own back-off, or seconds to wait."""
        import openai

        if isinstance(error, RemoteError):
            return error.transient
        if isinstance(error, openai.APIStatusError):
            if error.status_code not in {408, 409, 429} and error.status_code < 500:
                return False
            asked = error.response.headers.get("retry-after", "")
            return min(float(asked), _MAX_WAIT_S) if asked.isdigit() else True
        return isinstance(error, openai.APIConnectionError)

    def explain(self, error: Exception) -> FirstfaultError:
        """Say in plain words what went wrong; never contains the key."""
        import openai

        where = f"{self.base_url} (model {self.model})"
        if isinstance(error, FirstfaultError):
            return error
        if isinstance(error, openai.APITimeoutError | TimeoutError):
            hint = "Check the endpoint's load, or raise timeout_s."
            return DeadlineError(f"{where} did not answer in time.", hint=hint)
        if isinstance(error, openai.APIConnectionError):
            hint = "Check that the server runs, base_url, and the network: firstfault doctor."
            return RemoteError(f"{self.base_url} cannot be reached.", hint=hint, transient=True)
        if isinstance(error, openai.APIStatusError):
            return self._explain_status(error, where)
        message = f"{where} sent something that is not an OpenAI-style reply ({type(error).__name__})."
        return RemoteError(message, hint="Check base_url: it usually ends in /v1.", transient=False)

    def _explain_status(self, error: "openai.APIStatusError", where: str) -> FirstfaultError:
        said = _said(error)
        match error.status_code:
            case 401 | 403:
                message = f"{self.base_url} refused the key ({error.status_code})."
                variable = self.api_key_env or "api_key_env"
                return RemoteError(message, hint=f"Check the key in the environment variable {variable}.")
            case 404:
                hint = "Check model and base_url, which usually ends in /v1."
                return RemoteError(f"{where} was not found (404).{said}", hint=hint)
            case 429:
                message = f"{where} allows no more requests for now (429).{said}"
                return RemoteError(message, hint="Wait, or raise the quota.", transient=True)
            case status if status >= 500 or status in {408, 409}:
                message = f"{where} failed ({status}).{said}"
                return RemoteError(message, hint="Try again; check the endpoint's own logs.", transient=True)
            case status:
                hint = "Check the length of the prompt and the model's settings."
                return InputError(f"{where} refused the request ({status}).{said}", hint=hint)


def _said(error: "openai.APIStatusError") -> str:
    """The endpoint's own words, short; status 401 and 403 are left out, since they may repeat the key."""
    body = error.body if isinstance(error.body, dict) else {}
    said = body.get("message") or (body.get("error") if isinstance(body.get("error"), str) else "")
    return f" It says: {str(said)[:300]}" if said else ""
