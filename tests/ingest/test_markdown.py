import datetime

import pytest

from firstfault.errors import InputError
from firstfault.ingest.markdown import read_markdown


def test_yaml_front_matter_becomes_metadata_and_leaves_the_text() -> None:
    data = b"---\ntitle: Refunds\nteam: payments\ndue: 2024-05-01\ntags: [a, b]\n---\n# Heading\n\nBody.\n"
    extracted = read_markdown(data)
    assert extracted.text == "# Heading\n\nBody.\n"
    assert extracted.title == "Refunds"
    assert extracted.metadata == {"team": "payments", "due": datetime.date(2024, 5, 1), "tags": ["a", "b"]}


def test_toml_front_matter() -> None:
    extracted = read_markdown(b'+++\ntitle = "T"\nweight = 3\n+++\nBody.\n')
    assert (extracted.text, extracted.title, extracted.metadata) == ("Body.\n", "T", {"weight": 3})


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("intro\n\n# First *one* ##\n\n# Second\n", "First *one*"),
        ("Title\n=====\n\ntext\n", "Title"),
        ("```\n# not a heading\n```\n\n## Yes\n", "Yes"),
        ("no heading\n", None),
    ],
)
def test_the_first_heading_is_the_title(text: str, title: str | None) -> None:
    assert read_markdown(text.encode()).title == title


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nJust prose between rules.\n\n---\n\nMore.\n",
        "---\n- a\n- b\n---\nx\n",
        "text\n---\na: 1\n---\n",
    ],
)
def test_what_is_not_front_matter_stays_text(text: str) -> None:
    extracted = read_markdown(text.encode())
    assert extracted.text == text
    assert not extracted.metadata


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"---\na: 1\nb: [1, 2\n---\nx\n", "not valid YAML, line"),
        (b"---\nwhen: 2024-13-40\n---\nx\n", "not valid YAML"),
        (b"---\na: !!python/object/apply:os.system [ls]\n---\nx\n", "not valid YAML, line 2"),
        (b"+++\na = = 1\n+++\nx\n", "not valid TOML"),
    ],
)
def test_malformed_front_matter_is_an_error_not_a_guess(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_markdown(data)
