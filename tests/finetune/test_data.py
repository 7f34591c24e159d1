import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from firstfault.errors import InputError
from firstfault.finetune.data import convert, digest, read_dataset, write_dataset

CHAT = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]


@pytest.mark.parametrize(
    ("layout", "value"),
    [
        ("messages", {"messages": CHAT}),
        ("sharegpt", {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}),
        ("alpaca", {"instruction": "Q", "input": "", "output": "A"}),
        ("prompt/completion", {"prompt": "Q", "completion": "A"}),
        ("question/answer", {"question": "Q", "answer": "A"}),
    ],
)
def test_every_layout_says_the_same(layout: str, value: dict[str, Any]) -> None:
    name, row = convert({**value, "source": "s"}, "f:1")
    assert name == layout
    assert (row.prompt, row.question, row.target, dict(row.extra)) == ("Q", "Q", "A", {"source": "s"})
    assert digest([row]) == digest([convert({"messages": CHAT})[1]])


def test_alpaca_puts_its_input_behind_the_instruction_and_values_become_json() -> None:
    _, row = convert({"instruction": "Extract", "input": "text", "output": {"a": 1}, "system": "Be brief."})
    assert [message.role for message in row.messages] == ["system", "user", "assistant"]
    assert (row.question, row.target) == ("Extract\n\ntext", '{"a": 1}')


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1], "not a JSON object"),
        ({"text": "x"}, r"no layout fits the keys text; tried: messages \(messages\); sharegpt"),
        ({"messages": CHAT[:1]}, "does not end with an assistant turn"),
        ({"messages": CHAT[1:]}, "has no user turn"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "unknown role: 'narrator'"),
        ({"messages": [{"role": "user"}]}, "has no text under content"),
        ({"messages": [*CHAT, {"role": "system", "content": "s"}, *CHAT]}, "system turn stands behind"),
    ],
)
def test_what_cannot_be_learnt_from_says_why(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        convert(value)


def test_a_file_keeps_what_it_cannot_read_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps({"messages": CHAT}) + "\n\n{broken\n")
    data = read_dataset(path)
    assert [row.place for row in data.rows] == [f"{path}:1"]
    assert [one.place for one in data.unreadable] == [f"{path}:3"]
    write_dataset(data.rows, tmp_path / "out.jsonl")
    assert read_dataset(tmp_path / "out.jsonl").digest == data.digest


def test_a_json_list_is_read_and_an_empty_or_absent_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps([{"messages": CHAT}] * 2))
    assert len(read_dataset(path).rows) == 2
    path.write_text("\n")
    for bad in (path, tmp_path / "absent"):
        with pytest.raises(InputError):
            read_dataset(bad)
