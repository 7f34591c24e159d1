"""The switch to a shadow: whole before, whole after, whatever dies in between; the past stays searchable."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firstfault.collection import Collection
from firstfault.collection.shadow import adopt, drop, forget_index, shadow_name, shadows, take_vectors
from firstfault.config import Settings
from firstfault.errors import LockedError, MismatchError, MissingError

from .conftest import ROOT, OpenCollection, add, document, hashed

SHADOW = shadow_name("default", "0123abcd")


def fill(open_collection: OpenCollection) -> None:
    """A live collection with one chunk a document, and a shadow with two."""
    with open_collection() as live:
        add(live, document("a", "alpha beta", metadata={"n": 1}), document("b", "gamma delta"))
    with open_collection(name=SHADOW) as shadow:
        add(shadow, document("a", "alpha", "beta", metadata={"n": 1}), document("b", "gamma", "delta"))


def texts(collection: Collection, version: int | None = None) -> list[str]:
    keys = [found.key for found in collection.bm25("alpha beta gamma delta", limit=9, version=version)]
    return sorted(chunk.text for chunk in collection.fetch(keys, version=version).values())


OLD, NEW = ["alpha beta", "gamma delta"], ["alpha", "beta", "delta", "gamma"]


def is_sound(collection: Collection) -> bool:
    return all(verdict.status == "ok" for verdict in collection.check())


def test_the_collection_takes_over_its_shadow_and_keeps_its_past(
    open_collection: OpenCollection, home: Path
) -> None:
    fill(open_collection)
    assert shadows(home, "default") == [SHADOW]
    said = adopt(home, "default", SHADOW)
    assert "gc" in said
    assert shadows(home, "default") == []
    assert not (home / "index" / SHADOW).exists()
    with open_collection() as live:
        assert texts(live) == NEW
        assert texts(live, version=1) == OLD
        assert live.fields() == {"n": {"number"}}
        assert is_sound(live)
    with open_collection() as live:  # what was reconciled stays so
        assert live.recovery.added == live.recovery.removed == 0


@pytest.mark.parametrize(
    ("dies_in", "expected"),
    [("firstfault.collection.changes.drop_collection", OLD), ("shutil.rmtree", NEW)],
)
def test_a_death_in_the_middle_leaves_the_old_or_the_new_whole(
    open_collection: OpenCollection, home: Path, dies_in: str, expected: list[str]
) -> None:
    fill(open_collection)
    module, _, name = dies_in.rpartition(".")
    code = (
        f"import os, signal, {module} as place, pathlib, json\n"
        f"from firstfault.collection.shadow import adopt\n"
        f"place.{name} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"adopt(pathlib.Path({json.dumps(str(home))}), 'default', {SHADOW!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -9
    with open_collection() as live:
        assert texts(live) == expected
        assert is_sound(live)
    if expected == OLD:
        assert adopt(home, "default", SHADOW)


def test_another_embedder_renames_the_old_collection(open_collection: OpenCollection, home: Path) -> None:
    fill(open_collection)
    drop(home, SHADOW)
    other = hashed.HashedEmbedder(dimension=16)
    with open_collection(name=SHADOW, embedder=other) as shadow:
        add(shadow, document("a", "alpha", "beta"), document("b", "gamma", "delta"))
    said = adopt(home, "default", SHADOW)
    backup = said.split("'")[1]
    with open_collection(embedder=other) as live:
        assert texts(live) == NEW
        assert is_sound(live)
    with open_collection(name=backup) as kept:
        assert texts(kept) == OLD
        assert is_sound(kept)


def test_documents_that_changed_meanwhile_are_not_lost(open_collection: OpenCollection, home: Path) -> None:
    fill(open_collection)
    with open_collection() as live:
        add(live, document("c", "epsilon"))
    with pytest.raises(MismatchError, match="changed"):
        adopt(home, "default", SHADOW)
    with open_collection() as live:
        assert len(list(live.documents())) == 3


def test_an_open_or_absent_collection_is_refused(open_collection: OpenCollection, home: Path) -> None:
    fill(open_collection)
    with open_collection(), pytest.raises(LockedError):
        adopt(home, "default", SHADOW)
    with pytest.raises(MissingError):
        adopt(home, "default", shadow_name("default", "ffffffff"))


def test_dropping_a_shadow_leaves_nothing_of_it(open_collection: OpenCollection, home: Path) -> None:
    with open_collection() as live:
        add(live, document("a", "alpha beta"))
        before = live.info().cached_embeddings
    with open_collection(name=SHADOW) as shadow:
        add(shadow, document("a", "alpha", "beta"))
    drop(home, SHADOW)
    with open_collection() as live:
        assert live.info().cached_embeddings == before
        assert texts(live) == ["alpha beta"]


def test_vectors_made_in_another_home_replace_those_that_were_wrong(
    open_collection: OpenCollection, home: Path, tmp_path: Path, embedder: Any
) -> None:
    class Drifted(hashed.HashedEmbedder):  # type: ignore[misc,name-defined]
        """The same fingerprint, other vectors: an endpoint that changed its model."""

        def stream(self, texts: Any, kind: Any = "document", *, tokens: bool = False) -> Any:
            return super().stream([text[::-1] for text in texts], kind, tokens=tokens)

    with open_collection(embedder=Drifted(dimension=32)) as live:
        add(live, document("a", "alpha"), document("b", "beta"))
    other = tmp_path / "other"
    with Collection.open(other, settings=Settings(), embedder=embedder) as fresh:
        add(fresh, document("a", "alpha"), document("b", "beta"))
    vector = embedder.embed(["alpha"])[0]
    with open_collection() as live:
        assert live.dense(vector, limit=1, exact=True)[0].score < 0.9
    assert take_vectors(home, "default", other) == 2
    with open_collection() as live:
        assert live.dense(vector, limit=1, exact=True)[0].score == pytest.approx(1.0, abs=1e-4)
        assert is_sound(live)


def test_a_forgotten_index_is_made_anew(open_collection: OpenCollection, home: Path) -> None:
    fill(open_collection)
    forget_index(home, "default")
    with open_collection() as live:
        assert texts(live) == OLD
        assert is_sound(live)
