"""Drills of fine-tuning, on a tiny model that really trains."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.drill.test_tuning import rows
from tests.models.test_llama import write_adapter

from firstfault.drill.library.tuning import FAULTS
from firstfault.drill.outcome import HEALTHY, Named
from firstfault.errors import InputError
from firstfault.finetune.data import convert

RECIPE = {"learning_rate": 3e-2, "rank": 4, "batch_size": 8, "replay": 0, "longest": 64, "checks": 30}


@pytest.fixture
def training(tiny: Path) -> Any:
    from firstfault.finetune.drills import Training

    return Training(training=rows(160), validation=rows(12, 1), model=str(tiny), values=RECIPE)


def workshop(given: Any, home: Path) -> Any:
    from firstfault.finetune.drills import TuningWorkshop

    return TuningWorkshop(given, home)


def test_spoilt_data_are_refused_and_named_and_others_are_really_trained(
    training: Any, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []
    faults = [FAULTS[name] for name in ("few_examples", "wrong_labels")]
    with workshop(training, tmp_path / "live") as shop:
        cost = shop.forecast(faults, control=False)
        few, labels = (shop.drill(fault, told=lambda *now: told.append(now)) for fault in faults)
        root = shop._root
        assert not list((shop._home / "finetune" / "runs").glob("*"))
    assert (cost.trainings, cost.seconds > 0) == (1, True)
    assert ("training", 30, 30) in told
    assert few.skipped or few.stopped
    assert (labels.stopped, str(labels.found)) == ("refused", "data: label_errors")
    assert (labels.cause_named, labels.skipped, "data" in labels.failed) == (True, "", True)
    assert labels.evidence.startswith("label_errors: ")
    assert not root.exists()
    assert not (tmp_path / "live").exists()


def test_data_that_are_refused_as_they_are_are_not_drilled(training: Any, tmp_path: Path) -> None:
    twice = replace(training, training=training.training * 2)
    with (
        workshop(twice, tmp_path) as shop,
        pytest.raises(InputError, match=r"as they are \(duplicates\)"),
    ):
        shop.forecast([FAULTS["high_rate"]])


def test_what_cannot_be_drilled_is_skipped_with_the_reason(training: Any, tmp_path: Path) -> None:
    free = tuple(convert({"prompt": f"{r.prompt}", "completion": f"{r.prompt} it is."})[1] for r in rows(30))
    with workshop(replace(training, training=free), tmp_path) as shop:
        made = shop.drill(FAULTS["wrong_labels"])
    assert "no labels" in made.skipped


def test_dequantised_models_and_replay_of_the_home_are_borrowed(training: Any, tmp_path: Path) -> None:
    base, replay = tmp_path / "finetune" / "bases" / "abc", tmp_path / "finetune" / "replay"
    for folder in (base, replay):
        folder.mkdir(parents=True)
    (base / "done").write_text("{}")
    (replay / "abc.jsonl").write_text("{}")
    with workshop(training, tmp_path) as shop:
        assert (shop._home / "finetune" / "bases" / "abc" / "done").read_text() == "{}"
        (shop._home / "finetune" / "replay" / "abc.jsonl").write_text("changed")
    assert (base / "done").exists()
    assert (replay / "abc.jsonl").read_text() == "{}"


def test_a_damaged_adapter_is_mended_afterwards(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="reading adapters needs the finetune extra")
    from firstfault.finetune.drills import damaged

    file = tmp_path / "adapter.gguf"
    write_adapter(file, 1.0)
    sound = file.read_bytes()
    with damaged(file, FAULTS["adapter_scale_lost"], 1.0):
        assert gguf.GGUFReader(str(file)).fields["adapter.lora.alpha"].parts[-1][0] == 0
    assert file.read_bytes() == sound
    with damaged(file, FAULTS["adapter_weights_lost"], 1.0):
        a, b = (one.data.any() for one in gguf.GGUFReader(str(file)).tensors)
        assert (a, b) == (True, False)
    with (
        pytest.raises(InputError, match="nothing to damage"),
        damaged(tmp_path / "none", FAULTS["adapter_scale_lost"], 1.0),
    ):
        pass


def test_reports_say_what_got_through() -> None:
    from firstfault.finetune.drill_report import document, markdown
    from firstfault.finetune.drills import TuningOutcome

    nothing = Named(stage=HEALTHY, cause=HEALTHY)
    control = TuningOutcome(
        faults=(),
        severity=None,
        examples=160,
        expected=(),
        found=nothing,
        listed=(),
        evidence="",
        stopped="",
        gates=(),
        seconds=60.0,
    )
    rate = Named(stage="recipe", cause="learning_rate_too_high")
    named = replace(
        control, faults=("high_rate",), expected=(rate,), found=rate, stopped="guard", severity=0.5
    )
    through = replace(named, found=nothing, stopped="")
    skipped = replace(named, skipped="no labels")
    made = json.loads(json.dumps(document([control, named, through, skipped]), allow_nan=False))
    rates = {name: (one["hits"], one["of"]) for name, one in made["rates"].items()}
    assert rates == {"stopped": (1, 2), "stage_named": (1, 2), "cause_named": (1, 2), "false_alarms": (0, 1)}
    assert made["confusion"]["stages"] == {"healthy": {"healthy": 1}, "recipe": {"recipe": 1, "healthy": 1}}
    assert made["blind_spots"] == ["high_rate"]
    text = markdown([control, named, through, skipped])
    assert (
        "| high_rate | 0.5 | 160 | NOT STOPPED | recipe: learning_rate_too_high | healthy | – | 1.0 |" in text
    )
    assert "| none (control) |  | 160 | passed | healthy | healthy |" in text
