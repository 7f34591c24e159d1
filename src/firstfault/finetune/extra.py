"""The door to torch, transformers and peft: what is asked for comes back, or the command that installs it."""

import importlib
import os
from typing import Any

from firstfault.errors import MissingError

_SPINS = "1000"
"""How often an OpenMP thread looks for work before it sleeps: by default training crawls beside others."""


def load(name: str, extra: str = "finetune") -> Any:
    """A package of an extra.

    Raises:
        MissingError: it is not installed.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        package: Any = importlib.import_module(name)
    except ImportError as error:
        raise MissingError(
            f"This needs {name}, which is not installed.", hint=f"pip install 'firstfault[{extra}]'"
        ) from error
    if name == "transformers":
        package.utils.logging.disable_progress_bar()
    return package
