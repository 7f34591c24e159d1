"""What was learnt, measured on the weights of the tiny model: a full training, an adapter under lm-eval."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.finetune.test_train import planned

from firstfault.errors import InputError, MissingError
from firstfault.finetune.runs import TrainingRun

TASK = """
task: letters
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{word}}}} begins with"
doc_to_choice: ["a", "b", "c"]
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
"""


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two instructions instead of all: the tiny model follows none of them."""
    from firstfault.finetune import measure
    from firstfault.finetune.instructions import instructions

    monkeypatch.setattr(measure, "instructions", lambda: list(instructions())[:2])


def trained(tiny: Path, home: Path, **given: Any) -> TrainingRun:
    from firstfault.finetune import line

    made = planned(tiny, home, epochs=6, patience=100, **given)
    trainer = line.prepare(replace(made, check=()))
    return line.train(home, line.begin(home, trainer), trainer)


@pytest.mark.usefixtures("brief")
def test_a_full_training_goes_the_whole_way_and_leaves_as_a_folder(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune import line
    from firstfault.finetune.base import Base, load_model
    from firstfault.finetune.gates import gate

    done = trained(tiny, tmp_path, method="full", learning_rate=3e-3)
    losses = [point["validation_loss"] for point in done.record["points"]]
    assert losses[-1] < 0.8 * losses[0]
    assert not (done.folder / "adapter.gguf").exists()
    measured = line.measure(tmp_path, done)
    verdicts = {one.name: one for one in gate(measured.record)}
    assert verdicts["applied"].status == "ok"
    assert verdicts["chat_template"].status == "ok"
    assert verdicts["export"].status == "warn"
    assert "no GGUF file" in verdicts["export"].reason
    good = replace(measured, record=healthy(measured))
    with pytest.raises(InputError, match="trained every weight: a name can point to a GGUF adapter alone"):
        line.release(tmp_path, good, "x", licence="MIT")
    out = line.export(tmp_path, good, tmp_path / "out", licence="MIT")
    assert "Every weight of" in (out / "README.md").read_text()
    model = load_model(Base(name="x", folder=str(out), gguf=None, digest=""))
    assert sum(p.numel() for p in model.parameters()) > 0
    assert (out / "tokenizer.json").is_file()
    with pytest.raises(InputError, match="is there already"):
        line.export(tmp_path, good, out, licence="MIT")


def healthy(run: TrainingRun) -> dict[str, Any]:
    """The record as a better model would have it, since the tiny one passes no gate."""
    from tests.finetune.records import bench, points

    return {**run.record, "points": points((2.0, 2.0), (0.5, 0.55)), "alarms": [], "bench": bench()}


@pytest.mark.filterwarnings("ignore")  # of what lm-eval imports
@pytest.mark.usefixtures("brief")
def test_a_task_of_ones_own_is_paired_sample_by_sample_and_read_by_the_gate(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "tasks of lm-eval need the extra: pip install 'firstfault[lm-eval]'"
    for name in ("lm_eval", "accelerate"):
        pytest.importorskip(name, reason=why)
    datasets: Any = pytest.importorskip("datasets", reason=why)
    from firstfault.finetune import harness, line
    from firstfault.finetune.gates import gate

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    data = tmp_path / "letters.jsonl"
    words = ("apple", "bear", "cat", "ant", "bee", "cow", "axe", "box")
    data.write_text("".join(json.dumps({"word": w, "answer": "abc".index(w[0])}) + "\n" for w in words))
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "letters.yaml").write_text(TASK.format(data=data))
    (folder / "gone.yaml").write_text(TASK.format(data=tmp_path / "gone.jsonl").replace("letters", "gone", 1))
    done = trained(tiny, tmp_path)
    wanted = harness.Tasks(names=("letters",), folder=folder)
    measured = line.measure(tmp_path, done, tasks=wanted)
    axis = next(one for one in measured.record["bench"]["axes"] if one["name"] == "letters.acc")
    assert axis["n"] == len(words)
    lines = [
        json.loads(line) for line in (done.folder / "lm-eval" / "letters.jsonl").read_text().splitlines()
    ]
    assert [one["id"] for one in lines] == [f"letters:{i}" for i in range(len(words))]
    for side, mean in (("base", axis["before"]), ("tuned", axis["after"])):
        assert sum(one[side]["acc"] for one in lines) / len(lines) == pytest.approx(mean)
    assert any(one["base"]["said"] != one["tuned"]["said"] for one in lines)
    assert measured.record["bench"]["lm_eval"]["version"] == harness.version()
    assert "ability:letters.acc" in {verdict.name for verdict in gate(measured.record)}
    own = harness._index(folder, all_of_them=False)  # reading lm-eval's own as well takes many seconds
    monkeypatch.setattr(harness, "_index", lambda *_, **__: own)
    with pytest.raises(InputError, match="has no task 'lettres'") as caught:
        line.measure(tmp_path, done, tasks=replace(wanted, names=("lettres",)))
    assert "Near it: letters" in str(caught.value.hint)
    with pytest.raises(MissingError, match="gone") as lacking:
        line.measure(tmp_path, done, tasks=replace(wanted, names=("gone",)))
    assert "gone.jsonl" in str(lacking.value.hint)
