"""The corpora compared on: in go the shared data and the standard library, out come passages and questions.

`python -m bench.peers.corpus large 50000 FILE` writes the large corpus as JSONL, deterministically for one
version of Python.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

WINDOW_WORDS = 80
STRIDE_WORDS = 40
SHARDS = 100
"""A passage's shard is its number modulo this: a filter on one shard admits 1 % of a large corpus."""


def shard(number: int) -> str:
    """The value of the metadata field `shard`; two digits, so that no value is the beginning of another."""
    return f"s{number % SHARDS:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    id: str
    title: str
    text: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    id: str
    text: str
    relevant: tuple[str, ...]
    """Ids of the documents that hold the evidence."""


def data_folder() -> Path:
    """The shared data: FIRSTFAULT_DATA, or ../shared/data beside the repository. Exits with 3 when absent."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("FIRSTFAULT_DATA", default))
    if not (folder / "qa" / "xquad" / "documents.jsonl.gz").is_file():
        print(f"The development data is absent: no qa/xquad under {folder}.", file=sys.stderr)
        print("Set FIRSTFAULT_DATA to the folder that holds qa/xquad and qa/clapnq.", file=sys.stderr)
        raise SystemExit(3)
    return folder


def xquad_documents() -> list[Passage]:
    """The 240 passages of qa/xquad, whole."""
    return [
        Passage(
            id=row["id"], title=row["title"], text=row["text"],
            metadata={"source": "xquad", "shard": shard(number)},
        )
        for number, row in enumerate(_rows("qa/xquad/documents.jsonl.gz"))
    ]  # fmt: skip


def xquad_questions() -> list[Question]:
    """The 1,190 questions of qa/xquad, each with the document of its evidence."""
    return [
        Question(
            id=row["id"], text=row["question"],
            relevant=tuple(dict.fromkeys(item["document"] for item in row["evidence"])),
        )
        for row in _rows("qa/xquad/cases.jsonl.gz")
    ]  # fmt: skip


def large_corpus(count: int) -> list[Passage]:
    """`count` different passages: xquad whole, then windows of clapnq, docstrings, library and test source.

    Windows are 80 words, half overlapping, so that one interpreter holds enough of them. Raises ValueError
    when the sources hold fewer than `count`.
    """
    passages = xquad_documents()[:count]
    seen = {passage.text for passage in passages}
    for source, title, text in _long_texts():
        for start, window in _windows(text):
            if len(passages) == count:
                return passages
            if window in seen:
                continue
            seen.add(window)
            number = len(passages)
            passages.append(
                Passage(
                    id=f"{source}-{number:06d}",
                    title=title,
                    text=window,
                    metadata={"source": source, "shard": shard(number), "word": str(start)},
                )
            )
    if len(passages) < count:
        raise ValueError(f"The sources hold {len(passages)} different passages; {count} were asked for.")
    return passages


def write_passages(passages: Sequence[Passage], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(passage), ensure_ascii=False) + "\n" for passage in passages)


def read_passages(path: Path) -> list[Passage]:
    with path.open(encoding="utf-8") as file:
        return [Passage(**json.loads(line)) for line in file]


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(data_folder() / name, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _long_texts() -> Iterator[tuple[str, str, str]]:
    """(source, title, text), in an order that depends on nothing but the data and the interpreter."""
    for row in _rows("qa/clapnq/documents.jsonl.gz"):
        yield "clapnq", row["title"], row["text"]
    root = Path(sysconfig.get_path("stdlib"))
    files = [path for path in sorted(root.rglob("*.py")) if "site-packages" not in path.parts]
    tests = {"test", "tests", "idle_test"}
    library = [path for path in files if not tests & set(path.relative_to(root).parts)]
    for path in library:
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        yield from (("docstring", title, text) for title, text in _docstrings(name, path))
    for source, paths in (
        ("source", library),
        ("test", [path for path in files if path not in set(library)]),
    ):
        for path in paths:
            yield source, str(path.relative_to(root)), path.read_text(encoding="utf-8", errors="replace")


def _docstrings(name: str, path: Path) -> Iterator[tuple[str, str]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    except SyntaxError:  # the library keeps some deliberately broken files
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module):
            title = name
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            title = f"{name}.{node.name}"
        else:
            continue
        if text := ast.get_docstring(node):
            yield title, text


def _windows(text: str) -> Iterator[tuple[int, str]]:
    words = text.split()
    if not words:
        return
    last = max(len(words) - WINDOW_WORDS, 0)
    for start in [*range(0, last, STRIDE_WORDS), last]:
        yield start, " ".join(words[start : start + WINDOW_WORDS])


def main() -> None:
    if len(sys.argv) != 4 or sys.argv[1] != "large":
        raise SystemExit("usage: python -m bench.peers.corpus large COUNT FILE")
    write_passages(large_corpus(int(sys.argv[2])), Path(sys.argv[3]))


if __name__ == "__main__":
    main()
