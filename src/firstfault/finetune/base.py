"""The model that is tuned: a name or path in; its GGUF file, and its weights as transformers load them, out.

A GGUF file is dequantised once into the home; training and serving then start from the same numbers.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstfault.collection.adapters import FOLDER
from firstfault.errors import InputError
from firstfault.finetune.extra import load
from firstfault.models import store
from firstfault.models.gguf import read_header


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base model."""

    name: str
    """As the user named it."""
    folder: str
    """What transformers load: a folder, or a hub id."""
    gguf: Path | None
    """What llama.cpp loads; None for a model without a GGUF file here."""
    digest: str
    """Of the GGUF header; empty without one."""


def open_base(name: str, home: Path) -> Base:
    """Find a base model; a known one is pulled, a GGUF file is dequantised on first use.

    `name` is a known model, the path of a GGUF file, or a folder or hub id of transformers.

    Raises:
        InputError: the GGUF file cannot be turned into weights for transformers.
        MissingError: the extra is not installed.
    """
    gguf: Path | None = None
    if store.is_known(name):
        store.ensure(name)
        gguf = store.weights_path(name)
    elif name.endswith(".gguf"):
        gguf = Path(name)
    if gguf is None:
        return Base(name=name, folder=name, gguf=None, digest="")
    digest = read_header(gguf).digest
    folder = home / FOLDER / "bases" / digest
    if not (folder / "done").exists():
        _dequantise(gguf, folder)
    return Base(name=name, folder=str(folder), gguf=gguf, digest=digest)


def load_tokenizer(base: Base) -> Any:
    """The tokenizer with its chat template."""
    tokenizer = load("transformers").AutoTokenizer.from_pretrained(base.folder)
    if not tokenizer.chat_template:
        raise InputError(
            f"{base.name} has no chat template.",
            hint="Tune an instruction model, or set a template in its folder.",
        )
    return tokenizer


def load_model(base: Base) -> Any:
    """The weights, on the device there is: float32 on a CPU, bfloat16 on a GPU."""
    torch, transformers = load("torch"), load("transformers")
    gpu = torch.cuda.is_available()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        base.folder, dtype=torch.bfloat16 if gpu else torch.float32
    )
    return model.to("cuda" if gpu else "cpu")


def _dequantise(gguf: Path, folder: Path) -> None:
    torch, transformers = load("torch"), load("transformers")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as temporary:
        made = Path(temporary, "base")
        try:
            source: dict[str, Any] = {"gguf_file": gguf.name}
            tokenizer = transformers.AutoTokenizer.from_pretrained(str(gguf.parent), **source)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                str(gguf.parent), dtype=torch.float32, **source
            )
        except (ValueError, KeyError, OSError) as error:
            raise InputError(
                f"{gguf} cannot be loaded for training: {error}.",
                hint="Give the folder or hub id of the model in transformers' own format.",
            ) from error
        # the weights are plain numbers now: what is left of the quantizer would refuse to save them
        model.hf_quantizer = None
        model.is_quantized = False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        (made / "done").write_text(json.dumps({"from": gguf.name}), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(made, folder)
