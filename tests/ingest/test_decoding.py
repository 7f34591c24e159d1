import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstfault.errors import InputError
from firstfault.ingest.decoding import clean, decode


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides(mark: bytes, encoding: str) -> None:
    assert decode(mark + "Grüße 🙂\r\n".encode(encoding)) == "Grüße 🙂\n"


def test_utf8_is_the_default() -> None:
    assert decode("naïve".encode()) == "naïve"


def test_a_wrong_byte_is_named_by_its_offset() -> None:
    with pytest.raises(InputError, match="byte 3 is 0xE9"):
        decode("caf\xe9".encode("latin-1"))


def test_the_offset_counts_the_byte_order_mark() -> None:
    with pytest.raises(InputError, match="byte 4 is 0xFF"):
        decode(codecs.BOM_UTF8 + b"a\xff")


def test_a_declared_encoding_is_used() -> None:
    assert decode("café".encode("latin-1"), "latin-1") == "café"


def test_a_declared_encoding_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="'klingon', which does not exist"):
        decode(b"a", "klingon")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (b"PK\x03\x04...", "ZIP container"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"text\0more", "byte 4 is NUL"),
        ("hello".encode("utf-16-le"), "byte 1 is NUL"),
    ],
)
def test_binary_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        decode(data)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_comes_back_with_one_kind_of_line_break(text: str) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert decode(codecs.BOM_UTF8 + text.encode()) == expected


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InputError, match=r"Character 2 .*U\+D83D"):
        clean("ab\ud83d")


def test_a_text_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstfault.ingest.decoding.MAX_TEXT_CHARACTERS", 10)
    with pytest.raises(InputError, match="11 characters; the limit for one document is 10"):
        clean("x" * 11)
