"""txtai: one Embeddings database with hybrid=True and content=True; filters in its SQL."""

from collections.abc import Sequence
from pathlib import Path

from bench.peers import measure
from bench.peers.corpus import Passage
from txtai import Embeddings


class Txtai:
    name = "txtai"
    packages = ("txtai", "sentence-transformers", "transformers", "faiss-cpu", "torch")
    persists = "Embeddings.save (faiss file, SQLite file, terms file)"
    notes = (
        "No splitter: the quick start indexes texts as they are, cut off by the model at 256 word pieces.",
    )

    def __init__(self, model: Path) -> None:
        self.model = str(model)
        self.embeddings = Embeddings(path=self.model, hybrid=True, content=True)

    def prepare(self) -> None:
        """Load the model: the constructor has done it."""

    def ingest(self, documents: Sequence[Passage], home: Path) -> None:
        self.embeddings.index(
            (one.id, {"text": one.text, "title": one.title, **one.metadata}, None) for one in documents
        )
        self.embeddings.save(str(home / "index"))

    def open(self, home: Path) -> None:
        self.embeddings.load(str(home / "index"))

    def search(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        return self._search(query, k, None, where)

    def lexical(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str] | None:
        return self._search(query, k, 0, where)

    def dense(self, query: str, k: int, where: dict[str, str] | None = None) -> list[str]:
        return self._search(query, k, 1, where)

    def embed(self, query: str) -> object:
        return self.embeddings.batchtransform([query], "query")

    def record_embedded(self, seen: list[str]) -> None:
        model = self.embeddings.model
        original = model.encode

        def encode(data: list[str], *args: object, **options: object) -> object:
            seen.extend(data)
            return original(data, *args, **options)

        model.encode = encode

    def close(self) -> None:
        self.embeddings.close()

    def _search(self, query: str, k: int, weight: int | None, where: dict[str, str] | None) -> list[str]:
        if where is None:
            found = self.embeddings.search(query, k, weights=weight)
        else:
            conditions = " and ".join(f"{name} = :{name}" for name in where)
            sql = f"select id, score from txtai where similar(:query) and {conditions}"
            found = self.embeddings.search(sql, k, weights=weight, parameters={"query": query, **where})
        return [str(one["id"]) for one in found]


if __name__ == "__main__":
    measure.main(Txtai)
