from pathlib import Path

import pytest

from firstfault.advise.arms import arms
from firstfault.config import Settings, load
from firstfault.errors import ConfigError, InputError

OWN = """
[bakeoff]
prompt_price = 1.0
[bakeoff.arms.gpt]
prompt_price = 0.15
"search.top_k" = 3
[bakeoff.arms.gpt.generator]
kind = "openai"
model = "some-model"
base_url = "http://127.0.0.1:9/v1"
[bakeoff.arms.large_chunks]
collection = "large"
"chunking.max_tokens" = 400
"""


def settings(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "firstfault.toml"
    file.write_text(text, encoding="utf-8")
    return load(tmp_path, file, environment={}).settings


def test_the_usual_four_undo_what_is_in_force(tmp_path: Path) -> None:
    given = settings(tmp_path, '[generator]\nadapter = "mine"\n[search]\nenabled = false\n')
    found = {arm.name: (arm.retrieves, arm.settings.generator.adapter) for arm in arms(given)}
    assert found == {
        "base": (False, None),
        "rag": (True, None),
        "tuned": (False, "mine"),
        "hybrid": (True, "mine"),
    }


def test_without_an_adapter_two_are_left() -> None:
    assert [arm.name for arm in arms(Settings())] == ["base", "rag"]
    with pytest.raises(InputError, match="needs an adapter"):
        arms(Settings(), wanted=["tuned"])


def test_ones_own_come_from_the_configuration(tmp_path: Path) -> None:
    given = settings(tmp_path, OWN)
    gpt, large = arms(given, wanted=["gpt", "large_chunks"])
    assert gpt.settings.generator.model == "some-model"
    assert gpt.settings.search.top_k == 3
    assert gpt.settings.bakeoff.prompt_price == 0.15
    assert large.collection == "large"
    assert large.settings.chunking.max_tokens == 400


def test_arms_are_no_part_of_what_a_request_ran_under(tmp_path: Path) -> None:
    given = settings(tmp_path, OWN)
    assert "arms" not in given.model_dump()["bakeoff"]
    assert given.fingerprint() == Settings().fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[bakeoff.arms.x]\n'search.topk' = 3\n", "is no setting"),
        ("[bakeoff.arms.x]\nprice = 3\n", "is no setting"),
        ("[bakeoff.arms.x]\n'search.top_k' = 'many'\n", "search.top_k"),
        ("[bakeoff.arms.x]\n'chunking.max_tokens' = 400\n", "changes what is stored"),
        ("[bakeoff.arms.rag]\n'search.top_k' = 3\n", "usual arm"),
    ],
)
def test_arms_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        arms(settings(tmp_path, text))


def test_an_unknown_arm_is_refused() -> None:
    with pytest.raises(InputError, match="no arm 'magic'"):
        arms(Settings(), wanted=["magic"])
