from pathlib import Path

import pytest

from firstfault.config import Settings
from firstfault.diagnose.playbook import Playbook
from firstfault.errors import ConfigError
from firstfault.monitor.rules import load_rules


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "rules.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_shipped_rule_names_a_line_of_the_playbook() -> None:
    playbook = Playbook.load()
    rules = load_rules()
    assert len(rules) > 30
    for rule in rules:
        if rule.cause is not None:
            assert playbook.entry(rule.cause).cause == rule.cause


def test_a_users_file_changes_key_by_key_and_adds(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "[citation_limit]\nlimit = 0.9\n[slow_pack]\nenabled = false\n"
        '[dear]\nsignal = "cost"\ntitle = "Dear requests"\ntest = "limit"\nlimit = 0.01\n',
    )
    rules = {rule.name: rule for rule in load_rules(file)}
    assert rules["citation_limit"].limit == 0.9
    assert rules["citation_limit"].title.startswith("Citations")
    assert "slow_pack" not in rules
    assert rules["dear"].blamed == "any"


def test_a_limit_can_be_that_of_a_setting() -> None:
    rule = next(rule for rule in load_rules() if rule.name == "faithfulness_limit")
    assert rule.limit_of(Settings().override({"evaluate.faithfulness": "0.6"})) == 0.6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[x]\nsignal = "faithfulnes"\ntitle = "t"', "Did you mean 'faithfulness'"),
        ('[x]\nsignal = "error"\ntitle = "t"\nstages = "embed"', "Did you mean 'stage'"),
        ('[x]\nsignal = "error"\ntitle = "t"\nstage = "embedding"', "Did you mean 'embed'"),
        ('[x]\nsignal = "error"\ntitle = "t"\ntest = "limit"', "needs one"),
        ('[x]\nsignal = "error"\ntitle = "t"\ntest = "limit"\nlimit = "evaluate.x"', "is no setting"),
        ("enabled = false", "stands outside a table"),
        ("[x", "not valid TOML"),
    ],
)
def test_a_malformed_file_says_where_and_what(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rules(written(tmp_path, text))
    assert said in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_rules(tmp_path / "absent.toml")
