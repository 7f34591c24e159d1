"""The playbook: complete, valid, and extended by a user's file with clear errors."""

from pathlib import Path

import pytest

from firstfault.config import Settings
from firstfault.diagnose.playbook import Playbook
from firstfault.errors import ConfigError, InputError
from firstfault.stages import ANY_STAGE_CAUSES, CAUSES

FINE_TUNING = (
    "too_few_examples too_few_format_examples inconsistent_format duplicates leakage label_errors "
    "learning_rate_too_high too_many_epochs overfitting catastrophic_forgetting format_drift "
    "adapter_not_applied chat_template_mismatch"
).split()


@pytest.fixture(scope="module")
def playbook() -> Playbook:
    return Playbook.load(None)


def test_every_cause_has_an_entry(playbook: Playbook) -> None:
    path = [cause for causes in CAUSES.values() for cause in causes]
    assert {entry.cause for entry in playbook} == {*path, *ANY_STAGE_CAUSES, *FINE_TUNING}
    for stage, causes in CAUSES.items():
        for cause in causes:
            assert playbook.entry(cause).stage == stage.value


def test_every_cause_of_the_path_says_what_a_fix_gains_and_what_to_do(playbook: Playbook) -> None:
    for causes in (*CAUSES.values(), ANY_STAGE_CAUSES):
        for cause in causes:
            entry = playbook.entry(cause)
            remedy = entry.remedy
            assert entry.metrics
            assert remedy.patches or remedy.by_stage or remedy.repair or remedy.command or remedy.advice


def test_candidates_are_concrete_new_and_unique(playbook: Playbook) -> None:
    settings = Settings()
    for entry in playbook:
        found = playbook.candidates(entry.cause, settings)
        assert all(found)
        assert len({str(sorted(patch.items())) for patch in found}) == len(found)
    assert {"search.dense_weight": 0.5} not in playbook.candidates("fusion_weights", settings)
    bad = settings.override({"search.dense_weight": "0.9"})
    assert playbook.candidates("fusion_weights", bad)[0] == {"search.dense_weight": 0.5}


def test_causes_of_any_stage_have_patches_of_that_stage(playbook: Playbook) -> None:
    slow = Settings().override({"search.rerank_depth": "200"})
    assert playbook.candidates("over_budget", slow, stage="rerank")[0] == {"search.rerank_depth": 30}
    assert playbook.candidates("over_budget", slow) == []


def test_the_remedy_takes_the_given_patch_else_the_first_candidate(playbook: Playbook) -> None:
    bad = Settings().override({"pack.budget_tokens": "64"})
    assert playbook.remedy("context_truncated", bad).patch == {"pack.budget_tokens": 900}
    seen = {"pack.budget_tokens": 300}
    assert playbook.remedy("context_truncated", bad, seen).patch == seen
    missing = playbook.remedy("missing_document", bad)
    assert missing.patch == {}
    assert missing.command


def test_thresholds_are_the_rules_of_thumb_of_the_field(playbook: Playbook) -> None:
    said = {entry.cause: str(entry.threshold) for entry in playbook if entry.threshold}
    assert said["weak_embedding"] == "context_recall < 0.5"
    assert said["noise"] == "context_precision < 0.7"
    assert said["ignored_context"] == "faithfulness < 0.8"
    assert said["invalid_json"] == "format_validity < 0.99"
    assert said["overfitting"] == "validation loss / training loss > 3"
    assert said["over_budget"].endswith("> latency.first_token_ms")


def test_a_users_file_overrides_key_by_key_and_adds_causes(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        "[noise]\ntolerated = 0.2\n[noise.remedy]\nsummary = 'Ours.'\n"
        "[stale_cache]\nstage = 'generate'\nsymptom = 's'\ncheck = 'c'\nexplanation = 'e'\n"
        "[stale_cache.remedy]\nsummary = 'Flush it.'\ncommand = 'flush'\n"
    )
    shipped, changed = Playbook.load(None), Playbook.load(mine)
    assert changed.entry("noise").tolerated == 0.2
    assert changed.entry("noise").remedy.summary == "Ours."
    assert changed.entry("noise").remedy.patches == shipped.entry("noise").remedy.patches
    assert changed.entry("noise").symptom == shipped.entry("noise").symptom
    assert changed.entry("stale_cache").remedy.command == "flush"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[noise]\ntolerate = 0.1", ("mine.toml", "[noise]", "tolerated")),
        ("[noise]\ntolerated = 2", ("mine.toml", "[noise]", "tolerated")),
        ("[noisy]\ntolerated = 0.1", ("[noisy]", "stage")),
        ("[noise]\nstage = 'packing'", ("[noise]", "packing", "pack")),
        ("[noise]\nmetrics = ['faithfullness']", ("[noise]", "faithfulness")),
        ("[noise.remedy]\npatches = [{ 'search.topk' = 3 }]", ("[noise.remedy]", "patch 1", "search.top_k")),
        ("[noise.remedy]\npatches = [{ 'search.top_k' = 0 }]", ("[noise.remedy]", "patch 1", "search.top_k")),
        ("[noise]\nthreshold = { measure = 'x' }", ("[noise]", "threshold", "below or above")),
        ("tolerated = 1", ("outside a table",)),
        ("[noise", ("not valid TOML",)),
    ],
)
def test_errors_name_file_table_key_and_a_suggestion(
    tmp_path: Path, text: str, said: tuple[str, ...]
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(text)
    with pytest.raises(ConfigError) as error:
        Playbook.load(mine)
    for part in said:
        assert part in str(error.value)


def test_a_missing_file_and_an_unknown_cause_say_what_to_do(tmp_path: Path, playbook: Playbook) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Playbook.load(tmp_path / "none.toml")
    with pytest.raises(InputError, match="split_evidence"):
        playbook.entry("split_evidnce")
