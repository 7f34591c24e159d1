import tomllib
from pathlib import Path

import pytest
from tests.cli.conftest import Run


def test_flags_file_and_json(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "needs.toml"
    file.write_text('citations = "required"\nexamples = 12\n', encoding="utf-8")
    made = run("--home", tmp_path / "none", "advise", "--from", file, "-a", "examples=7000", "--json")
    assert made.code == 0
    assert made.json["recommendation"] == "rag"
    known = {fact["key"]: fact for fact in made.json["facts"]}
    assert known["citations"]["detail"] == str(file)
    assert (known["examples"]["value"], known["examples"]["detail"]) == (7000, "--answer")
    assert len(made.json["commands"]) == 3
    assert "no home" in made.json["unmeasured"]["knowledge_changes"]


def test_a_home_says_what_it_can_not_tell_yet(run: Run, home: Path, tmp_path: Path) -> None:
    report = tmp_path / "advice.md"
    made = run("--home", home, "advise", "--markdown", report)
    assert made.code == 0
    assert "history of 0.0 days" in made.out
    assert "# Retrieval (RAG)" in report.read_text(encoding="utf-8")


def test_examples_are_counted(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "examples.jsonl"
    data.write_text('{"prompt": "a", "completion": "b"}\n' * 10, encoding="utf-8")
    made = run("--home", tmp_path / "none", "advise", "--examples", data, "--json").json
    known = {fact["key"]: fact for fact in made["facts"]}
    assert known["examples"]["value"] == 1
    assert known["example_quality"]["option"] == "poor"


def test_the_questionnaire_is_a_file_to_be_filled_in(run: Run, tmp_path: Path) -> None:
    text = run("advise", "--questions").out
    assert tomllib.loads(text) == {}
    open_ = "\n".join(line[2:] if " = " in line else line for line in text.splitlines())
    file = tmp_path / "all.toml"
    file.write_text(open_, encoding="utf-8")
    made = run("--home", tmp_path / "none", "advise", "--from", file, "--json").json
    assert made["unanswered"] == []


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ("citation=required", "Did you mean 'citations'?"),
        ("citations=yes", "Answer one of: required, useful, unneeded."),
        ("examples=many", "number"),
        ("examples", "key=value"),
        ("answerable=90", "from 0 to 1"),
    ],
)
def test_answers_that_do_not_fit_are_refused(run: Run, tmp_path: Path, answer: str, hint: str) -> None:
    made = run("--home", tmp_path / "none", "advise", "-a", answer)
    assert made.code == 2
    assert hint in made.err
