"""Three processes on one PostgreSQL and one index: they ingest and search at once, and one is killed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstfault.collection import Collection
from firstfault.config import Settings

from .conftest import names

pytest.importorskip("qdrant_client", reason="the extra `scale` is not installed")
from .qdrant_server import serve

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*no effect in the local Qdrant:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]

PROCESS = """
import json, os, signal, sys
from pathlib import Path
number, home, database, url, bench = int(sys.argv[1]), *sys.argv[2:6]
sys.path.insert(0, bench)
from hashed import HashedEmbedder
from firstfault.collection import Collection
from firstfault.collection import writer
from firstfault.config import Settings
from firstfault.types import ChunkedDocument, Document
writer.BATCH_DOCUMENTS = 5
settings = Settings().override({"home.database": database, "index.kind": "qdrant", "index.url": url})
def made(at):
    text = f"document{at} about pumps"
    return ChunkedDocument(
        document=Document(id=f"d{at}", title="", text=text, source="s", revision="1", metadata={"n": at}),
        spans=((0, len(text)),),
    )
with Collection.open(Path(home), settings=settings, embedder=HashedEmbedder(dimension=32)) as collection:
    print("open", flush=True)
    for part in range(6):  # every process gives two thirds of the documents: each comes from two
        wanted = [at for at in range(part * 15, part * 15 + 15) if at % 3 != number]
        for count, done in enumerate(collection.add_all(map(made, wanted))):
            print(json.dumps([done.document_id, done.unchanged]), flush=True)
            if number == 2 and part == 3 and count == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        found = collection.bm25(f"document{wanted[0]}", limit=1)  # what was acknowledged is found
        (chunk,) = collection.fetch([one.key for one in found]).values()
        assert chunk.document_id == f"d{wanted[0]}", chunk
"""


def test_nothing_is_lost_and_nothing_doubled(
    postgres: Callable[[], str], tmp_path: Path, embedder: Any
) -> None:
    database = postgres()
    bench = str(Path(__file__).parents[2] / "bench")
    with serve() as qdrant:
        started = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    PROCESS,
                    str(at),
                    str(tmp_path / f"h{at}"),
                    database,
                    qdrant.url,
                    bench,
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for at in range(3)
        ]
        ended = [process.communicate(timeout=180) for process in started]
        said = [err for _, err in ended]
        assert [process.returncode for process in started] == [0, 0, -9], said
        acknowledged: list[tuple[str, bool]] = []
        for out, _ in ended:
            acknowledged += [tuple(json.loads(line)) for line in out.splitlines() if line.startswith("[")]
        settings = Settings().override(
            {"home.database": database, "index.kind": "qdrant", "index.url": qdrant.url}
        )
        with Collection.open(tmp_path / "h0", settings=settings, embedder=embedder) as collection:
            live = collection.revisions()
            assert {name for name, _ in acknowledged} <= live.keys()
            assert len(live) == 90
            stored = [name for name, unchanged in acknowledged if not unchanged]
            assert len(stored) == len(set(stored))  # acknowledged as new by one process only
            assert all(len(collection.revisions_of(name)) == 1 for name in live)
            assert collection.info().index_points == collection.info().chunks == 90
            assert [verdict.status for verdict in collection.check()][:4] == ["ok"] * 4
            for at in (0, 44, 89):
                found = collection.bm25(f"document{at}", limit=9)
                assert names(collection, [one.key for one in found])[0] == f"d{at}"
