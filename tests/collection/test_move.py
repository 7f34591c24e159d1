"""Collections whose index is in a cluster, and the way there and back, over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstfault.collection import Collection
from firstfault.collection.index_qdrant import QdrantIndex
from firstfault.collection.move import same_ranking
from firstfault.config import IndexConfig, Settings
from firstfault.errors import ConfigError, InputError, RemoteError, StorageError
from firstfault.types import Candidate

from .conftest import OpenCollection, add, document, names

pytest.importorskip("qdrant_client", reason="the extra `scale` is not installed")
from .qdrant_server import Qdrant, serve

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*no effect in the local Qdrant:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]
WORDS = "pump valve pipe motor belt gear bolt seal fan tank".split()


@pytest.fixture
def qdrant() -> Iterator[Qdrant]:
    with serve() as server:
        yield server


@pytest.fixture
def clustered(qdrant: Qdrant) -> Settings:
    return Settings().override({"index.kind": "qdrant", "index.url": qdrant.url})


def fill(collection: Collection, number: int = 60) -> None:
    add(
        collection,
        *(
            document(f"d{at:02}", f"{WORDS[at % 10]} {WORDS[at % 7]} number {at}", metadata={"n": at})
            for at in range(number)
        ),
    )
    add(collection, document("d03", "the pump was replaced"))
    collection.retire(["d05"])


def ranking(collection: Collection, question: str) -> list[tuple[float, str]]:
    """Scores and documents, ties by name, without those that tie with the last place."""
    found = collection.bm25(question, limit=20)
    documents = names(collection, [c.key for c in found])
    ranked = sorted((-round(c.score, 4), name) for name, c in zip(documents, found, strict=True))
    return [one for one in ranked if one[0] < ranked[-1][0]] or ranked


def test_a_collection_lives_in_a_cluster(
    clustered: Settings, open_collection: OpenCollection, qdrant: Qdrant
) -> None:
    collection = open_collection(settings=clustered)
    qdrant.lose = 2  # answers that do not arrive are asked for again
    fill(collection)
    first = ranking(collection, "pump number")
    assert first
    assert [verdict.status for verdict in collection.check()][:3] == ["ok"] * 3
    collection.close()
    again = open_collection(settings=clustered)
    assert again.recovery.added == again.recovery.removed == 0
    assert ranking(again, "pump number") == first
    again.rebuild_index()
    assert ranking(again, "pump number") == first
    assert names(again, [c.key for c in again.bm25("pump", limit=99, version=1)], version=1)[0] != "d03"


def test_there_and_back_again(
    clustered: Settings, open_collection: OpenCollection, qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = open_collection()
    fill(collection)
    first = ranking(collection, "pump number")

    restore, calls = QdrantIndex.upsert, []

    def die_later(self: Any, points: Any) -> None:
        calls.append(len(points))
        if len(calls) > 1:
            raise StorageError("The network is gone.", hint="")
        restore(self, points[:20])

    monkeypatch.setattr(QdrantIndex, "upsert", die_later)
    monkeypatch.setattr("firstfault.collection.changes._PART", 30)
    with pytest.raises(StorageError):
        collection.copy_index(clustered.index, lambda *_: None)
    monkeypatch.undo()

    seen: list[tuple[int, int]] = []
    report = collection.copy_index(clustered.index, lambda done, total: seen.append((done, total)))
    assert report.verified, report.verdicts
    assert [verdict.name for verdict in report.verdicts] == ["points", "checksum", "vectors", "rankings"]
    assert (report.points, report.copied, seen[-1]) == (61, 41, (41, 41))
    with pytest.raises(InputError, match="already"):
        collection.copy_index(IndexConfig(), lambda *_: None)
    collection.close()

    there = open_collection(settings=clustered)
    assert there.recovery.added == 0
    assert ranking(there, "pump number") == first
    add(there, document("new", "a brand new pump"))
    back = there.copy_index(IndexConfig(), lambda *_: None)
    assert back.verified
    assert back.copied == 1
    there.close()
    assert ranking(open_collection(), "brand")[0][1] == "new"


def test_what_was_written_elsewhere_is_noticed(
    clustered: Settings, open_collection: OpenCollection, qdrant: Qdrant
) -> None:
    """The old folder is not trusted only because its number of points is right."""
    collection = open_collection()
    add(collection, document("a", "one"), document("b", "two"))
    collection.copy_index(clustered.index, lambda *_: None)
    collection.close()
    there = open_collection(settings=clustered)
    there.retire(["a"])
    there.close()
    here = open_collection()
    assert here.recovery.added == 1
    assert here.bm25("one", limit=1) == []


def test_a_copy_that_is_wrong_is_not_relied_upon(
    clustered: Settings, open_collection: OpenCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = open_collection()
    fill(collection, 12)
    upsert = QdrantIndex.upsert

    def shifted(self: Any, points: Any) -> None:
        vectors = [point.dense for point in points]
        upsert(self, [_with(point, vectors[at - 1]) for at, point in enumerate(points)])

    monkeypatch.setattr(QdrantIndex, "upsert", shifted)
    report = collection.copy_index(clustered.index, lambda *_: None)
    assert not report.verified
    wrong = {verdict.name for verdict in report.verdicts if verdict.status == "fail"}
    assert wrong == {"vectors", "rankings"}
    assert collection.check()[1].status == "ok"


def _with(point: Any, dense: Any) -> Any:
    from dataclasses import replace

    return replace(point, dense=dense)


def test_ties_are_the_same_ranking_and_other_scores_are_not() -> None:
    one = [Candidate(key=1, score=2.0), Candidate(key=2, score=1.0), Candidate(key=3, score=1.0)]
    assert same_ranking(one, [one[0], Candidate(key=4, score=1.0), one[1]])
    assert not same_ranking(one, one[:2])
    assert not same_ranking(one, [Candidate(key=5, score=2.0), *one[1:]])
    assert not same_ranking(one, [one[0], one[1], Candidate(key=3, score=0.5)])


def test_a_cluster_that_cannot_be_used_says_why(
    qdrant: Qdrant, clustered: Settings, open_collection: OpenCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"index\.url"):
        open_collection(settings=Settings().override({"index.kind": "qdrant"}))
    with pytest.raises(RemoteError, match="cannot be reached"):
        open_collection(
            settings=Settings().override({"index.kind": "qdrant", "index.url": "http://127.0.0.1:1"})
        )
    qdrant.key = "secret"
    with pytest.raises(RemoteError, match="refused the key") as caught:
        open_collection(settings=clustered)
    assert "index.api_key_env" in caught.value.hint
    keyed = clustered.override({"index.api_key_env": "FF_TEST_QDRANT"})
    with pytest.raises(ConfigError, match="FF_TEST_QDRANT is not set"):
        open_collection(settings=keyed)
    monkeypatch.setenv("FF_TEST_QDRANT", "secret")
    with pytest.warns(UserWarning, match="insecure connection"):
        assert open_collection(settings=keyed).info().index_points == 0


def test_a_search_on_one_machine_loads_nothing_of_several(
    home: Path, open_collection: OpenCollection
) -> None:
    collection = open_collection()
    add(collection, document("a", "pump"))
    collection.close()
    code = (
        "import sys; from pathlib import Path; from firstfault.collection import Collection; "
        "from firstfault.config import Settings; "
        f"c = Collection.open(Path({str(home)!r}), settings=Settings(), write=False); "
        "c.fetch([one.key for one in c.bm25('pump', limit=1)]); c.close(); "
        "print([m for m in ('psycopg', 'qdrant_client', 'ray', 'alembic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.replace("'", '"')) == []
