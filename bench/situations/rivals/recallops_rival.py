"""recallops: the sound and the broken documents as two snapshots of its own pipeline, with its verified
attribution.

It compares with a state in which all was well, which the others are not told. Its pipeline embeds by hashing
and has its own chunkers and fusion, so that only changes of documents, chunk size and fusion weight can be
expressed; the rest is outside what it looks at and gets no label. Its first verified cause, else its first
hypothesis, is the label.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from bundles import Bundle, Labels, main
from click.testing import CliRunner
from recallops.cli import main as recall

from bench.situations import faults


def label(bundle: Bundle) -> Labels:
    name, seed = bundle["id"].rsplit("-", 1)
    situation = faults.build(name, int(seed))
    nothing: Labels = {trace["case"]: None for trace in bundle["traces"]}
    if situation.healthy is None:
        sound, changes = situation.world, {}
    else:
        sound, changes = situation.healthy
    weight = situation.settings.get("search.dense_weight")
    fuses = name == "fusion_weights" and weight is not None
    if sound.pages == situation.world.pages and "chunking.max_tokens" not in changes and not fuses:
        return nothing
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for where, world in (("sound", sound), ("broken", situation.world)):
                Path(where).mkdir()
                for page in world.pages:
                    Path(where, f"{Path(page.id).stem}.md").write_text(f"# {page.title}\n\n{page.text}\n")
            rows = [
                {
                    "id": q.id,
                    "question": q.text,
                    "reference_contexts": sorted({f"{Path(f.document).stem}.md" for f in q.facts}),
                }
                for q in situation.world.questions
                if q.facts
            ]
            Path("golden.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            _run("init", "--source", "broken")
            first = _run("ingest", "sound").split()[0]
            smaller = [
                "--chunker",
                "recall.chunkers.fixed_token",
                "--chunk-params",
                json.dumps({"max_tokens": situation.settings.get("chunking.max_tokens", 16), "overlap": 0}),
            ]
            if fuses:
                config = Path("recall.yaml")
                config.write_text(
                    re.sub(r"bm25_weight: .*", f"bm25_weight: {1.0 - weight}", config.read_text())
                )
            second = _run("ingest", "broken", *(smaller if "chunking.max_tokens" in changes else [])).split()[
                0
            ]
            _run("dataset", "import", "golden.jsonl", "--name", "golden")
            if first == second:
                return nothing
            report = json.loads(
                _run(
                    "diff",
                    first,
                    second,
                    "--dataset",
                    "golden-v1",
                    "--attribute",
                    "deep",
                    "--format",
                    "json",
                    "--yes",
                )
            )
        finally:
            os.chdir(home)
    for query, told in report["attributions"].items():
        causes = [*told.get("verified_causes", []), *told.get("hypotheses", [])]
        if query in nothing and causes:
            nothing[query] = str(causes[0].get("factor"))
    return nothing


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(recall, arguments, catch_exceptions=False)
    if result.exit_code:
        raise RuntimeError(f"recall {' '.join(arguments)}: {result.output[-400:]}")
    return result.output.strip()


main(label)
