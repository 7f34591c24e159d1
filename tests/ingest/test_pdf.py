import pytest

from firstfault.errors import InputError
from firstfault.ingest.pdf import page_at, read_pdf

from .files import paragraph, pdf


def test_paragraphs_are_found_by_the_distance_of_lines() -> None:
    first = paragraph(["The first paragraph has", "two lines.", "And a third."])
    second = paragraph(["The second begins here."], y=640)
    assert read_pdf(pdf([first + second])).text == (
        "The first paragraph has\ntwo lines.\nAnd a third.\n\nThe second begins here."
    )


def test_a_larger_font_is_a_paragraph_of_its_own() -> None:
    lines = [(72.0, 700.0, 18.0, "Heading"), *paragraph(["Text one,", "text two."], y=686)]
    assert read_pdf(pdf([lines])).text == "Heading\n\nText one,\ntext two."


def test_columns_are_read_in_the_order_they_are_written() -> None:
    left = paragraph(["Left one", "left two."])
    right = paragraph(["Right one", "right two."], x=320)
    assert read_pdf(pdf([left + right])).text == "Left one\nleft two.\n\nRight one\nright two."


def test_an_offset_maps_to_its_page() -> None:
    extracted = read_pdf(pdf([paragraph(["First page."]), paragraph(["Second page."])], title="A Report"))
    assert extracted.metadata == {"pages": 2}
    assert extracted.title == "A Report"
    assert page_at(extracted.text, extracted.text.index("First")) == 1
    assert page_at(extracted.text, extracted.text.index("Second")) == 2


def test_a_title_that_a_program_made_up_is_not_used() -> None:
    assert read_pdf(pdf([paragraph(["x"])], title="Microsoft Word - draft.doc")).title is None


def test_pages_without_text_are_noted() -> None:
    extracted = read_pdf(pdf([paragraph(["Text."]), []]))
    assert extracted.notes == ("no text on page 2 (scanned, or blank)",)


def test_a_scanned_document_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"None of its 2 pages has text.*OCR"):
        read_pdf(pdf([[], []]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "not a PDF"),
        (b"%PDF-1.7\nrubbish", "damaged PDF"),
        (pdf([paragraph(["x"])])[:200], "damaged PDF"),
    ],
)
def test_damage_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_pdf(data)


def test_an_encrypted_document_is_an_error() -> None:
    data = pdf([paragraph(["x"])])
    key = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /ID [<00> <00>] " % (
        b"41" * 32,
        b"42" * 32,
    )
    with pytest.raises(InputError, match="encrypted"):
        read_pdf(data.replace(b"/Info 4 0 R ", key))
