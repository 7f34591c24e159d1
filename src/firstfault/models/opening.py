"""Settings in, the embedder they name out."""

from typing import TYPE_CHECKING

from firstfault.config import EmbedderConfig
from firstfault.errors import ConfigError

if TYPE_CHECKING:
    from firstfault.models.embedder import Embedder
    from firstfault.models.store import ProgressCallback


def open_embedder(settings: EmbedderConfig, progress: "ProgressCallback | None" = None) -> "Embedder":
    """The embedder that the settings name; a known model is pulled on first use."""
    if settings.kind == "openai":
        from firstfault.models.openai_embedder import OpenAIEmbedder

        return OpenAIEmbedder(
            model=settings.model,
            base_url=required(settings.base_url, "embedder.base_url"),
            api_key_env=settings.api_key_env,
        )
    from firstfault.models import store
    from firstfault.models.onnx_embedder import OnnxEmbedder

    if store.is_known(settings.model):
        store.ensure(settings.model, progress)
    return OnnxEmbedder(settings.model, threads=settings.threads or None)


def required(value: str | None, name: str) -> str:
    """A setting that must not be empty."""
    if not value:
        raise ConfigError(f"{name} is not set.", hint=f"Set {name}, e.g. http://127.0.0.1:8000/v1.")
    return value
