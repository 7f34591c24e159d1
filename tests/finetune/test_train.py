"""Training for real, on a tiny model: it learns, stops, resumes exactly, and mends nothing silently."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstfault.errors import InputError
from firstfault.finetune.data import Row, convert, record


def rows(number: int, seed: int = 0) -> tuple[Row, ...]:
    made = []
    for i in range(number):
        pick = random.Random(f"{seed} {i}")
        word = "".join(pick.choices("abcdef", k=5))
        made.append(convert({"prompt": word, "completion": json.dumps({"x": word[0]})}, f"r:{i}")[1])
    return tuple(made)


def planned(tiny: Path, home: Path, training: int = 32, **given: Any) -> Any:
    from firstfault.finetune.train import plan

    values = {"replay": 0.0, "epochs": 2, "batch_size": 8, "checks": 2, "learning_rate": 1e-2, **given}
    if values.get("method") != "full":
        values.setdefault("rank", 4)
    return plan(rows(training), rows(8, seed=1), model=str(tiny), home=home, given=values)


def run(made: Any, folder: Path, **options: Any) -> Any:
    from firstfault.finetune.train import Trainer

    folder.mkdir(exist_ok=True)
    return Trainer(made, folder).run(**options)


def test_it_learns_and_the_best_adapter_is_kept(tiny: Path, tmp_path: Path) -> None:
    done = run(planned(tiny, tmp_path, epochs=6, patience=100), tmp_path / "run")
    assert done.status == "trained"
    assert done.points[0].step == 0
    assert done.points[-1].validation_loss < 0.8 * done.points[0].validation_loss
    assert done.best == min(done.points, key=lambda point: point.validation_loss)
    assert (done.folder / "adapter_model.safetensors").is_file()


def test_the_same_data_give_the_same_adapter(tiny: Path, tmp_path: Path) -> None:
    made = planned(tiny, tmp_path)
    one, two = run(made, tmp_path / "a"), run(made, tmp_path / "b")
    assert one.points == two.points
    files = [done.folder / "adapter_model.safetensors" for done in (one, two)]
    assert files[0].read_bytes() == files[1].read_bytes()


class KilledError(Exception):
    """Stands for kill -9 between two steps."""


def test_a_killed_run_goes_on_as_if_nothing_had_happened(tiny: Path, tmp_path: Path) -> None:
    made = planned(tiny, tmp_path)
    whole = run(made, tmp_path / "whole")

    def kill(now: Any) -> None:
        if now.step == 5 and now.point is None:
            raise KilledError

    with pytest.raises(KilledError):
        run(made, tmp_path / "killed", listen=kill)
    again = run(made, tmp_path / "killed")
    assert again.points == whole.points
    file = "adapter_model.safetensors"
    assert (again.folder / file).read_bytes() == (whole.folder / file).read_bytes()


def test_every_weight_can_be_trained_and_killed_and_held_back_too(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune.train import Trainer

    lora = Trainer(planned(tiny, tmp_path), tmp_path)
    made = planned(tiny, tmp_path, method="full", learning_rate=3e-3)
    free = Trainer(made, tmp_path)
    assert made.recipe.rank == 0
    weights = sum(p.numel() for p in free.model.parameters())
    assert sum(p.numel() for p in free.model.parameters() if p.requires_grad) == weights
    held = Trainer(replace(made, recipe=replace(made.recipe, kl=50.0)), tmp_path)
    costs = [one.estimate().memory_bytes for one in (lora, free, held)]
    assert costs[0] < costs[1]
    assert costs[2] == costs[1] + 4 * weights
    whole = run(made, tmp_path / "whole")

    def kill(now: Any) -> None:
        if now.step == 5 and now.point is None:
            raise KilledError

    with pytest.raises(KilledError):
        run(made, tmp_path / "killed", listen=kill)
    again = run(made, tmp_path / "killed")
    assert again.points == whole.points
    files = [one.folder / "model.safetensors" for one in (whole, again)]
    assert files[0].read_bytes() == files[1].read_bytes()
    back = run(held.plan, tmp_path / "held")
    drop = [one.points[0].validation_loss - one.points[-1].validation_loss for one in (whole, back)]
    assert drop[1] < 0.7 * drop[0]


def test_a_plan_alone_leaves_nothing_behind(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.cli.conftest import execute

    files = {}
    for name, number, seed in (("train", 32, 0), ("held", 8, 1)):
        files[name] = tmp_path / f"{name}.jsonl"
        files[name].write_text("".join(json.dumps(record(row)) + "\n" for row in rows(number, seed=seed)))
    home = ("--home", tmp_path / "home", "finetune")
    given = ("train", files["train"], "--validation", files["held"], "--model", tiny, "--anyway")
    assert execute(*home, *given, "--set", "replay=0", "--set", "method=full", "--plan", "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["recipe"]["method"] == "full"
    assert "every weight of" in err
    assert execute(*home, "runs") == 3
    assert not (tmp_path / "home" / "finetune" / "runs").exists()


def test_a_rate_beyond_all_measure_is_stopped(tiny: Path, tmp_path: Path) -> None:
    done = run(planned(tiny, tmp_path, learning_rate=1.0, epochs=40, clip=1e9), tmp_path / "run")
    assert done.points[-1].step < 160
    assert any(alarm.stops for alarm in done.alarms)


def test_replay_and_divergence_from_the_base_model_hold_it_back(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune.train import Trainer

    made = planned(tiny, tmp_path, kl=50.0)
    free = run(replace(made, recipe=replace(made.recipe, kl=0.0)), tmp_path / "free")
    held = run(made, tmp_path / "held")
    drop = [one.points[0].validation_loss - one.points[-1].validation_loss for one in (free, held)]
    assert drop[1] < 0.5 * drop[0]
    from firstfault.finetune.train import plan

    given = {"replay": 0.5, "epochs": 1}
    mixed = plan(
        rows(8), rows(4, seed=1), model=str(tiny), home=tmp_path, given=given, replay=rows(3, seed=2)
    )
    assert len(mixed.replay) == 8
    assert len(Trainer(mixed, tmp_path)._rows) == 16


def test_plain_text_is_replayed_as_the_base_model_writes_it(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune.base import open_base
    from firstfault.finetune.replay import LONGEST_TEXT, OPENINGS, _texts
    from firstfault.finetune.tokens import encode
    from firstfault.finetune.train import open_tokenizer

    base, file = open_base(str(tiny), tmp_path), tmp_path / "text.jsonl"
    told = _texts(base, file, lambda _: None)
    assert [row.target[: len(opening)] for row, opening in zip(told, OPENINGS, strict=True)] == list(OPENINGS)
    again = _texts(base, file, lambda n: pytest.fail(f"{n} made again"))
    assert [row.messages for row in again] == [row.messages for row in told]
    encoded = encode(open_tokenizer(base, None), told[0], longest=LONGEST_TEXT)
    assert encoded.learnt == len(encoded.ids) - 1 < LONGEST_TEXT


def test_only_answers_are_learnt_and_an_estimate_changes_nothing(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune.train import Trainer

    made = planned(tiny, tmp_path)
    (tmp_path / "run").mkdir()
    trainer = Trainer(made, tmp_path / "run")
    row = trainer._rows[0]
    learnt = trainer.tokenizer.decode(row.ids[-row.learnt :])
    assert learnt == made.training[0].target + "</s>"
    estimate = trainer.estimate()
    assert estimate.steps == 8
    assert estimate.seconds > 0
    assert estimate.memory_bytes > 0
    assert trainer.run().points == run(made, tmp_path / "other").points


def test_rows_without_anything_to_learn_are_counted_and_none_at_all_is_an_error(
    tiny: Path, tmp_path: Path
) -> None:
    from firstfault.finetune.train import plan

    long = convert({"prompt": "a" * 200, "completion": "b"})[1]
    given = {"longest": 60, "replay": 0.0}
    made = plan([*rows(9), long], rows(4, seed=1), model=str(tiny), home=tmp_path, given=given)
    assert (len(made.training), made.dropped) == (9, 1)
    with pytest.raises(InputError, match="no example has anything to learn"):
        plan([long], rows(4), model=str(tiny), home=tmp_path, given=given)
    with pytest.raises(InputError, match="nothing is held out"):
        plan(rows(4), (), model=str(tiny), home=tmp_path, given=given)


def test_a_template_that_rewrites_the_conversation_is_refused(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune.train import plan

    template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(InputError, match="writes a conversation otherwise"):
        plan(rows(4), rows(2), model=str(tiny), home=tmp_path, template=template)


def test_the_line_records_every_step_and_goes_on_after_a_crash(tiny: Path, tmp_path: Path) -> None:
    from firstfault.finetune import line
    from firstfault.finetune.runs import open_runs

    made = planned(tiny, tmp_path)
    trainer = line.prepare(made)
    begun = line.begin(tmp_path, trainer)

    def kill(now: Any) -> None:
        if now.step == 5 and now.point is None:
            raise KilledError

    with pytest.raises(KilledError):
        line.train(tmp_path, begun, trainer, listen=kill)
    store = open_runs(tmp_path)
    found = store.get("last")
    assert (found.status, found.record["points"][-1]["step"]) == ("training", 4)
    done = line.train(tmp_path, found, line.resume(tmp_path, found))
    store.close()
    assert (done.status, done.record["points"][-1]["step"]) == ("trained", 8)
    with pytest.raises(InputError, match="has ended"):
        line.resume(tmp_path, done)
    verdicts = {verdict.name: verdict.status for verdict in line.judge(tmp_path, done)}
    assert verdicts["measured"] == "fail"
    with pytest.raises(InputError, match="is not released: measured"):
        line.release(tmp_path, done, "x", licence="MIT")
