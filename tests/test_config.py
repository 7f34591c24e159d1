from pathlib import Path

import pytest

from firstfault.config import load
from firstfault.errors import ConfigError


def test_defaults_have_the_origin_default(tmp_path: Path) -> None:
    config = load(tmp_path, environment={})
    assert {origin for _, _, origin in config.items()} == {"default"}


def test_later_layers_win_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("firstfault.toml").write_text("[search]\ntop_k = 3\ncandidates = 20\nrerank_depth = 10\n")
    config = load(
        environment={"FIRSTFAULT__SEARCH__TOP_K": "4", "FIRSTFAULT__SEARCH__CANDIDATES": "30", "HOME": "/"},
        overrides={"search.top_k": "9"},
    )
    assert config.settings.search.top_k == 9
    assert config.settings.search.candidates == 30
    assert config.settings.search.rerank_depth == 10
    origins = {key: origin for key, _, origin in config.items()}
    assert origins["search.top_k"] == "--set"
    assert origins["search.candidates"] == "environment FIRSTFAULT__SEARCH__CANDIDATES"
    assert origins["search.rerank_depth"] == "firstfault.toml"
    assert origins["search.fusion"] == "default"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[search]\ntopk = 3\n", "Did you mean 'search.top_k'"),
        ("[serch]\ntop_k = 3\n", "Did you mean 'search'"),
        ("[search]\ntop_k = 0\n", "search.top_k = 0"),
        ("[search]\nfusion = 'sum'\n", "search.fusion"),
        ("top_k = 3\n", "outside a table"),
        ("[search\n", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_what_to_do(tmp_path: Path, toml: str, message: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(toml)
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, file, environment={})
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No configuration file"):
        load(tmp_path, tmp_path / "absent.toml", environment={})


def test_an_unknown_environment_key_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"search\.topk"):
        load(environment={"FIRSTFAULT__SEARCH__TOPK": "3"})


@pytest.mark.parametrize("name", ["FIRSTFAULT__SEARCH__TOPK", "FIRSTFAULT__SERCH__TOP_K"])
def test_an_unknown_key_names_its_environment_variable(name: str) -> None:
    with pytest.raises(ConfigError, match=f"environment variable {name}") as caught:
        load(environment={name: "3"})
    assert "Did you mean" in caught.value.hint


def test_fingerprint_follows_the_values_not_their_origin(tmp_path: Path) -> None:
    default = load(tmp_path, environment={}).settings
    spelled_out = load(tmp_path, environment={"FIRSTFAULT__SEARCH__TOP_K": "5"}).settings
    changed = load(tmp_path, environment={"FIRSTFAULT__SEARCH__TOP_K": "6"}).settings
    assert default.fingerprint() == spelled_out.fingerprint() != changed.fingerprint()


def test_override_is_checked_like_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, environment={}).settings
    assert settings.override({"search.top_k": "7"}).search.top_k == 7
    with pytest.raises(ConfigError, match="top_k"):
        settings.override({"search.top_k": "many"})
    with pytest.raises(ConfigError, match="Did you mean"):
        settings.override({"search.topk": "7"})
