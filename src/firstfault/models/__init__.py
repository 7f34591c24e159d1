"""Runtimes for the models that Firstfault uses: embedders, generators, and the store they come from.

Importing this package is cheap: each name is loaded from its module when it is first used, and ONNX
Runtime, llama.cpp and the HTTP clients when a model is opened.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstfault.models.embedder import Embedder, Embedding, Kind
    from firstfault.models.generator import Delta, FinishReason, Generator
    from firstfault.models.llama import LlamaGenerator
    from firstfault.models.onnx_embedder import OnnxEmbedder
    from firstfault.models.openai_embedder import OpenAIEmbedder
    from firstfault.models.remote import OpenAIGenerator
    from firstfault.types import Message

__all__ = [
    "Delta",
    "Embedder",
    "Embedding",
    "FinishReason",
    "Generator",
    "Kind",
    "LlamaGenerator",
    "Message",
    "OnnxEmbedder",
    "OpenAIEmbedder",
    "OpenAIGenerator",
]

_MODULES = {
    "embedder": ("Embedder", "Embedding", "Kind"),
    "generator": ("Delta", "FinishReason", "Generator", "Message"),
    "llama": ("LlamaGenerator",),
    "onnx_embedder": ("OnnxEmbedder",),
    "openai_embedder": ("OpenAIEmbedder",),
    "remote": ("OpenAIGenerator",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
