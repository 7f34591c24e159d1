"""The command line, run in this process as a user would, on real models and a small real corpus."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firstfault import cli, models
from firstfault.models import store

DOCUMENTS = {
    "gcd.md": "---\nkind: function\nyear: 2020\n---\n# math.gcd\n\n"
    "math.gcd returns the greatest common divisor of the specified "
    "integer arguments. If any of the arguments is nonzero, the returned value is the "
    "largest positive integer that is a divisor of all arguments.\n",
    "copy.md": "---\nkind: function\nyear: 2010\n---\n# shutil.copy2\n\nshutil.copy2 copies a file and "
    "preserves its metadata. It is identical to shutil.copy except that it also attempts to preserve the "
    "file metadata, such as the modification time.\n",
    "turtle.txt": "Turtle graphics is a popular way of introducing programming to children. It was part of "
    "the original Logo programming language.\n",
    "twin-a.txt": "The warranty of the red pump lasts for five years from the day of purchase.\n",
    "twin-b.txt": "The warranty of the red pump lasts for five years from the day of purchase.\n",
}


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


def execute(*arguments: str | Path) -> int:
    """Run the command line in this process; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["firstfault", *map(str, arguments)])
        patch.delenv("COLUMNS", raising=False)  # a pipe has no width
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `firstfault ARGUMENTS` and return exit code, stdout and stderr."""

    def command(*arguments: str | Path) -> Result:
        capsys.readouterr()
        code = execute(*arguments)
        captured = capsys.readouterr()
        return Result(code=code, out=captured.out, err=captured.err)

    return command


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few documents."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def home(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the corpus ingested; tests may read it and ask, not change the documents."""
    store.pull()
    place = tmp_path_factory.mktemp("home") / "data"
    assert execute("--home", place, "ingest", corpus) == 0
    return place


@pytest.fixture
def other_embedder(home: Path, tmp_path: Path) -> Path:
    """A folder with the same weights but another pooling: other vectors of the same dimension."""
    folder = tmp_path / "other"
    shutil.copytree(store.path("all-MiniLM-L6-v2"), folder)
    shutil.copy(Path(models.__file__).parent / "graphs" / "all-MiniLM-L6-v2.onnx", folder / "model.onnx")
    pooling = folder / "1_Pooling" / "config.json"
    settings = json.loads(pooling.read_text())
    settings.update(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    pooling.write_text(json.dumps(settings))
    return folder
