import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstfault.errors import InputError
from firstfault.models import store
from firstfault.models.gguf import read_header


def test_the_real_model() -> None:
    store.ensure("SmolLM2-135M-Instruct")
    header = read_header(store.weights_path("SmolLM2-135M-Instruct"))
    assert (header.architecture, header.context_length) == ("llama", 8192)
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>"} <= set(header.control_tokens)
    assert "<filename>" not in header.control_tokens  # harmless in a document, so left alone


@pytest.mark.parametrize(
    "content",
    [b"", b"GGUF", b"not a model at all", b"GGUF" + struct.pack("<IQQ", 3, 0, 0), b"GGUF" + b"\xff" * 40],
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(InputError, match="not a usable GGUF model"):
        read_header(tmp_path / "m.gguf")


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_damage_never_escapes_as_another_error(tail: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.gguf"
        path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + tail)
        with pytest.raises(InputError):
            read_header(path)
