import io
import zipfile

import pytest

from firstfault.errors import InputError
from firstfault.ingest.docx import read_docx

from .files import replaced_in_body, saved, word_document


def test_headings_lists_and_tables_come_in_order() -> None:
    document = word_document()
    document.add_heading("Handbook", 0)
    document.add_heading("Leave", 1)
    document.add_paragraph("Ask first.")
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("deeper", style="List Bullet 2")
    table = document.add_table(rows=2, cols=2)
    for cell, words in zip(
        [cell for row in table.rows for cell in row.cells], ["a", "b", "c|d", "e"], strict=True
    ):
        cell.text = words
    document.add_paragraph("The end.")
    extracted = read_docx(saved(document))
    assert extracted.title == "Handbook"
    assert extracted.text == (
        "# Handbook\n\n# Leave\n\nAsk first.\n\n- one\n  - deeper\n\n"
        "| a | b |\n| --- | --- |\n| c\\|d | e |\n\nThe end."
    )


def test_inserted_text_is_read_and_deleted_text_is_not() -> None:
    document = word_document()
    document.add_paragraph("MARK")
    data = replaced_in_body(
        saved(document),
        "<w:r><w:t>MARK</w:t></w:r>",
        '<w:r><w:t xml:space="preserve">kept </w:t></w:r>'
        '<w:ins w:id="1" w:author="a"><w:r><w:t>inserted</w:t></w:r></w:ins>'
        '<w:del w:id="2" w:author="a"><w:r><w:delText>deleted</w:delText></w:r></w:del>',
    )
    assert read_docx(data).text == "kept inserted"


def test_content_controls_are_read() -> None:
    document = word_document()
    document.add_paragraph("MARK")
    data = replaced_in_body(
        saved(document),
        "<w:p><w:r><w:t>MARK</w:t></w:r></w:p>",
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>inside</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    )
    assert read_docx(data).text == "inside"


def test_a_truncated_file_is_an_error() -> None:
    document = word_document()
    document.add_paragraph("text")
    data = saved(document)
    with pytest.raises(InputError, match="truncated"):
        read_docx(data[: len(data) // 2])


def test_another_zip_is_an_error() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(InputError, match="damaged DOCX"):
        read_docx(buffer.getvalue())


def test_damaged_xml_is_an_error() -> None:
    document = word_document()
    document.add_paragraph("MARK")
    with pytest.raises(InputError, match="damaged DOCX"):
        read_docx(replaced_in_body(saved(document), "<w:t>MARK</w:t>", "<w:t>MARK"))


def test_an_old_or_encrypted_file_is_an_error() -> None:
    with pytest.raises(InputError, match=r"old \.doc file, or a DOCX with a password"):
        read_docx(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100)


def test_an_empty_document_is_an_error() -> None:
    with pytest.raises(InputError, match="no text"):
        read_docx(saved(word_document()))


def test_a_container_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstfault.ingest.docx.MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(InputError, match="unpacks to"):
        read_docx(saved(word_document()))


@pytest.mark.parametrize("title", ["Word Document", "", "untitled"])
def test_a_title_that_every_new_document_has_is_none(title: str) -> None:
    document = word_document()
    document.core_properties.title = title
    document.add_heading("Leave", 1)
    document.add_paragraph("Ask first.")
    assert read_docx(saved(document)).title == "Leave"
    plain = word_document()
    plain.core_properties.title = title
    plain.add_paragraph("Ask first.")
    assert read_docx(saved(plain)).title is None
