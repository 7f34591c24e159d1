"""An embedder on ONNX Runtime: a known model by name, or any sentence-transformers folder with a graph.

In: texts. Out: vectors that do not depend on what else is in the batch: only texts of equal token
count share a batch, so there is no padding, and every batch runs on one thread.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from firstfault.errors import ConfigError, MissingError
from firstfault.models import store
from firstfault.models.embedder import Embedding, FloatArray, Kind, stacked
from firstfault.models.threads import default_threads, run_ahead

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]
    from tokenizers import Encoding

Pooling = Literal["mean", "cls"]

_GRAPHS = Path(__file__).parent / "graphs"
_BATCH_TOKENS = 512
"""Tokens in one forward pass; fewer and more were slower, at 10, 20 and 106 tokens a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A tokenised text, ready for the model."""

    position: int
    encoding: "Encoding"
    token_count: int


class OnnxEmbedder:
    """Embeds with a transformer encoder in the process, on the CPU.

    `model` is a known name (see `store.KNOWN_MODELS`), which must have been pulled, or a folder that holds
    `tokenizer.json` and `model.onnx` (or `onnx/model.onnx`). Pooling, normalisation and the maximum number
    of tokens are read from the folder's sentence-transformers files, and can be overridden.
    Raises MissingError when files are missing and ConfigError when the graph or a setting does not fit.
    """

    exact_counts = True
    late_interaction = True

    def __init__(
        self,
        model: str | Path = "all-MiniLM-L6-v2",
        *,
        max_tokens: int | None = None,
        pooling: Pooling | None = None,
        normalise: bool | None = None,
        query_prefix: str = "",
        document_prefix: str = "",
        threads: int | None = None,
    ) -> None:
        from tokenizers import Tokenizer

        self.name = str(model)
        is_known = store.is_known(self.name)
        folder = store.path(self.name) if is_known else Path(model)
        if not (folder / "tokenizer.json").is_file():
            names = ", ".join(entry.name for entry in store.KNOWN_MODELS if entry.kind == "embedder")
            raise MissingError(
                f"There is no tokenizer.json in {folder}.",
                hint=f"Name a folder with model.onnx and tokenizer.json, or a known model: {names}.",
            )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()  # the files that travel with a model may cut and pad silently
        self._tokenizer.no_padding()
        self._session = _open_known(self.name, folder) if is_known else _open_folder(folder)
        self._inputs = _check_inputs(self._session, folder)

        published = _published_settings(folder)
        self.max_tokens = max_tokens or published["max_tokens"]
        if self.max_tokens > published["positions"]:
            limit = published["positions"]
            message = f"max_tokens = {self.max_tokens} is more than the {limit} positions of {self.name}."
            raise ConfigError(message, hint=f"Set max_tokens to {limit} or less.")
        self._pooling: Pooling = pooling or published["pooling"]
        self._normalise: bool = published["normalise"] if normalise is None else normalise
        self._prefix: dict[Kind, str] = {"query": query_prefix, "document": document_prefix}
        self._specials = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        self._threads = threads or default_threads()
        self.dimension = int(self._session.get_outputs()[0].shape[-1])
        self.content_tokens = self.max_tokens - max(
            len(self._tokenizer.encode(prefix).ids) for prefix in self._prefix.values()
        )
        self.fingerprint = _hash(
            {
                "weights": _known_digests(self.name) if is_known else _folder_digests(folder),
                "dimension": self.dimension,
                "max_tokens": self.max_tokens,
                "pooling": self._pooling,
                "normalise": self._normalise,
                "prefix": self._prefix,
            }
        )

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> FloatArray:
        """Return (texts, dimension) vectors in the order of the texts."""
        return stacked(self.stream(texts, kind), (len(texts), self.dimension))

    def embed_tokens(self, texts: Sequence[str], kind: Kind = "document") -> list[Embedding]:
        """Return vectors and token vectors in the order of the texts, from one forward pass."""
        done = [embedding for batch in self.stream(texts, kind, tokens=True) for embedding in batch]
        return sorted(done, key=lambda embedding: embedding.position)

    def stream(
        self, texts: Sequence[str], kind: Kind = "document", *, tokens: bool = False
    ) -> Iterator[list[Embedding]]:
        """Yield batches as they are done, longest texts first, each text exactly once.

        Batches run in parallel on `threads` threads; only a few are computed ahead of the caller.
        """
        batches = _batches(self._encode(texts, kind))
        yield from run_ahead(lambda batch: self._run(batch, tokens=tokens), batches, self._threads)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as the model sees it as a document: special tokens and prefix included."""
        prefix = self._prefix["document"]
        return [
            len(encoding.ids) for encoding in self._tokenizer.encode_batch([prefix + text for text in texts])
        ]

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """Character span of every token of the text itself: no special tokens, no prefix."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)

    def _encode(self, texts: Sequence[str], kind: Kind) -> list[_Text]:
        prefixed = [self._prefix[kind] + text for text in texts]
        encoded = []
        for position, encoding in enumerate(self._tokenizer.encode_batch(prefixed)):
            count = len(encoding.ids)
            if count > self.max_tokens:
                encoding = self._tokenizer.encode(prefixed[position], add_special_tokens=False)  # noqa: PLW2901
                encoding.truncate(self.max_tokens - self._specials)
                encoding = self._tokenizer.post_process(encoding)  # noqa: PLW2901 - puts the specials back
            encoded.append(_Text(position=position, encoding=encoding, token_count=count))
        return encoded

    def _run(self, batch: list[_Text], *, tokens: bool) -> list[Embedding]:
        ids = np.array([text.encoding.ids for text in batch], dtype=np.int64)  # (batch, tokens)
        feed = {"input_ids": ids}
        if "attention_mask" in self._inputs:
            feed["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self._inputs:
            feed["token_type_ids"] = np.zeros_like(ids)
        states: FloatArray = self._session.run([self._session.get_outputs()[0].name], feed)[0]
        vectors = states[:, 0] if self._pooling == "cls" else states.mean(axis=1)  # (batch, dimension)
        if self._normalise:
            vectors = _unit(vectors)
        return [
            Embedding(
                position=text.position,
                vector=vectors[row],
                tokens=_unit(states[row][_content(text.encoding)]) if tokens else None,
                token_count=text.token_count,
                truncated=text.token_count > self.max_tokens,
            )
            for row, text in enumerate(batch)
        ]


def _batches(texts: list[_Text]) -> list[list[_Text]]:
    """Group texts of equal token count, longest first, at most `_BATCH_TOKENS` tokens to a batch."""

    def length(text: _Text) -> int:
        return len(text.encoding.ids)

    batches = []
    for tokens, group in groupby(sorted(texts, key=length, reverse=True), key=length):
        same = list(group)
        size = max(1, _BATCH_TOKENS // tokens)
        batches += [same[start : start + size] for start in range(0, len(same), size)]
    return batches


def _content(encoding: "Encoding") -> NDArray[np.bool_]:
    """(tokens,): which tokens belong to the text; special tokens match anything, so they are left out."""
    content: NDArray[np.bool_] = np.array(encoding.special_tokens_mask) == 0
    return content


def _unit(rows: FloatArray) -> FloatArray:
    """Scale every row to length 1; a row of zeros stays as it is."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: FloatArray = rows / np.maximum(norms, np.float32(1e-12))
    return scaled


def _open_known(name: str, folder: Path) -> "onnxruntime.InferenceSession":
    """Open the graph that ships with this package over the weights in the model's folder.

    The graph is made of fused operators already (see train/build_embedder_graph.py), so optimisation
    is off: opening takes a third of the time.
    """
    import onnxruntime

    options = _session_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    place = str(folder.resolve())  # weights behind a symbolic link are refused
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", place)
    return _session((_GRAPHS / f"{name}.onnx").read_bytes(), options, folder)


def _open_folder(folder: Path) -> "onnxruntime.InferenceSession":
    candidates = (folder / "model.onnx", folder / "onnx" / "model.onnx")
    for graph in candidates:
        if graph.is_file():
            return _session(str(graph), _session_options(), folder)
    tried = " or ".join(str(graph) for graph in candidates)
    raise MissingError(f"There is no ONNX graph: looked for {tried}.", hint="Export the model to ONNX first.")


def _session(
    graph: str | bytes, options: "onnxruntime.SessionOptions", folder: Path
) -> "onnxruntime.InferenceSession":
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class
        message = f"ONNX Runtime cannot open the model in {folder}: {str(error)[:300]}"
        hint = "Check that the files are complete and not links into another folder."
        raise ConfigError(message, hint=hint) from error


def _session_options() -> "onnxruntime.SessionOptions":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # batches run in parallel instead: no waiting at barriers
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _check_inputs(session: "onnxruntime.InferenceSession", folder: Path) -> set[str]:
    inputs = {entry.name for entry in session.get_inputs()}
    if "input_ids" not in inputs or inputs - {"input_ids", "attention_mask", "token_type_ids"}:
        message = f"The graph in {folder} takes {', '.join(sorted(inputs))}."
        raise ConfigError(message, hint="It must take input_ids, attention_mask and token_type_ids only.")
    shape = session.get_outputs()[0].shape
    if len(shape) != 3 or not isinstance(shape[-1], int):
        message = f"The first output of the graph in {folder} has the shape {shape}."
        raise ConfigError(message, hint="It must be (batch, tokens, dimension): the token states.")
    return inputs


def _published_settings(folder: Path) -> dict[str, Any]:
    """What the folder's sentence-transformers files say: max_tokens, positions, pooling, normalise."""
    config = _json(folder / "config.json")
    pooling = _json(folder / "1_Pooling" / "config.json")
    modules = _json(folder / "modules.json")
    positions = int(config.get("max_position_embeddings", 512))
    return {
        "positions": positions,
        "max_tokens": int(_json(folder / "sentence_bert_config.json").get("max_seq_length") or positions),
        "pooling": "cls" if pooling.get("pooling_mode_cls_token") else "mean",
        "normalise": not modules or any(str(m["type"]).endswith("Normalize") for m in modules),
    }


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _known_digests(name: str) -> dict[str, str]:
    wanted = ("model.safetensors", "tokenizer.json")
    return {m.target: m.sha256 for m in store.known(name).members if m.target in wanted}


def _folder_digests(folder: Path) -> dict[str, str]:
    """Digest of the tokenizer and of everything that can hold weights, by path inside the folder."""
    files: Iterable[Path] = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and (path.suffix in {".onnx", ".onnx_data", ".data"} or path.name == "tokenizer.json")
    )
    digests = {}
    for path in files:
        with path.open("rb") as source:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(source, "sha256").hexdigest()
    return digests


def _hash(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]
