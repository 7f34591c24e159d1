"""Reads the header of a GGUF model file: its metadata, not its weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian.
"""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from firstfault.errors import InputError

_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_CONTROL = 3
_EDGE = 4 << 20
_LONGEST = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What Firstfault needs to know about a model file."""

    architecture: str
    context_length: int
    """Positions that the model was trained for."""
    control_tokens: tuple[str, ...]
    """Texts that would begin or end a turn if they stood in a message, longest first."""
    digest: str
    """sha256 over the file's size, its first and its last 4 MB: metadata, tensor list and last tensors."""


def read_header(path: Path) -> Header:
    """Read a GGUF file's header; raises InputError when the file is not a GGUF model."""
    try:
        with path.open("rb") as file:
            metadata = _metadata(file)
            size = path.stat().st_size
            file.seek(0)
            digest = hashlib.sha256(str(size).encode() + file.read(_EDGE))
            file.seek(max(0, size - _EDGE))
            digest.update(file.read(_EDGE))
        architecture = metadata["general.architecture"]
        context_length = int(metadata[f"{architecture}.context_length"])
    except (struct.error, KeyError, UnicodeDecodeError, ValueError, OverflowError) as error:
        hint = "Give the path of a model in GGUF format, or fetch it again."
        raise InputError(f"{path} is not a usable GGUF model: {error}.", hint=hint) from error
    return Header(
        architecture=architecture,
        context_length=context_length,
        control_tokens=_control_tokens(metadata),
        digest=digest.hexdigest()[:32],
    )


def _control_tokens(metadata: dict[str, Any]) -> tuple[str, ...]:
    template = metadata.get("tokenizer.chat_template", "")
    ids = {value for key, value in metadata.items() if key.endswith("_token_id")}
    pairs = zip(
        metadata.get("tokenizer.ggml.tokens", []), metadata.get("tokenizer.ggml.token_type", []), strict=False
    )
    control = {
        token
        for number, (token, kind) in enumerate(pairs)
        if kind == _CONTROL and (number in ids or token in template or token.startswith("<|"))
    }
    return tuple(sorted(control, key=lambda token: (-len(token), token)))


def _metadata(file: IO[bytes]) -> dict[str, Any]:
    if file.read(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, _tensors, pairs = struct.unpack("<IQQ", _read(file, 20))
    if version not in (2, 3):
        raise ValueError(f"version {version} is not supported")
    return {_string(file): _value(file, _scalar(file, "<I")) for _ in range(pairs)}


def _value(file: IO[bytes], kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        element, length = _scalar(file, "<I"), _scalar(file, "<Q")
        if element in _SCALARS:
            form = f"<{length}{_SCALARS[element][1:]}"
            return struct.unpack(form, _read(file, struct.calcsize(form)))
        return [_value(file, element) for _ in range(length)]
    if kind not in _SCALARS:
        raise ValueError(f"value type {kind} is unknown")
    return _scalar(file, _SCALARS[kind])


def _scalar(file: IO[bytes], form: str) -> Any:
    return struct.unpack(form, _read(file, struct.calcsize(form)))[0]


def _string(file: IO[bytes]) -> str:
    return _read(file, _scalar(file, "<Q")).decode("utf-8")


def _read(file: IO[bytes], size: int) -> bytes:
    if size > _LONGEST or len(data := file.read(size)) < size:
        raise ValueError("the header ends too early")
    return data
