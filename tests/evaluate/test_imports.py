import json
from pathlib import Path

import pytest
from tests.cli.conftest import DOCUMENTS

from firstfault.answer import Application
from firstfault.errors import InputError
from firstfault.evaluate.evidence import locate
from firstfault.evaluate.imports import Format, import_cases, match, write_documents
from firstfault.types import EvidenceUnit

CONTEXT = "Pumps move water. The red pump costs 40 euros. It is loud."
SQUAD = {
    "data": [
        {
            "title": "Pumps",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "Price?",
                            "answers": [{"text": "40 euros", "answer_start": 37}],
                        },
                        {"id": "q2", "question": "Colour?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ]
}


def _file(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_squad_quotes_the_sentence_of_the_answer(tmp_path: Path) -> None:
    found = import_cases(_file(tmp_path / "s.json", SQUAD), "squad")
    (document,) = found.documents
    assert (document.title, document.text) == ("Pumps", CONTEXT)
    answerable, impossible = found.cases
    assert answerable.answer == "40 euros"
    assert answerable.evidence == (EvidenceUnit(document=document.id, quote="The red pump costs 40 euros."),)
    assert locate(answerable.evidence[0], document.text).state == "located"
    assert (impossible.answerable, impossible.evidence) == (False, ())


def test_ragas_takes_reference_contexts_and_both_naming_schemes(tmp_path: Path) -> None:
    rows = [
        {
            "user_input": "A?",
            "reference": "a",
            "reference_contexts": ["one", "two"],
            "retrieved_contexts": ["x"],
        },
        {"question": "B?", "ground_truths": ["b", "c"], "contexts": ["retrieved"]},
        {"question": "C?", "ground_truth": "c", "contexts": ["one"], "evolution_type": "simple"},
    ]
    lines = _file(tmp_path / "r.jsonl", "\n".join(json.dumps(row) for row in rows))
    found = import_cases(lines, "ragas")
    assert found == import_cases(_file(tmp_path / "r.json", rows), "ragas")
    assert [case.answer for case in found.cases] == ["a", "b", "c"]
    assert [len(case.evidence) for case in found.cases] == [2, 0, 1]
    assert [document.text for document in found.documents] == ["one", "two"]
    assert found.cases[0].evidence[0] == found.cases[2].evidence[0]


def test_beir_takes_what_is_judged_relevant(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    _file(
        tmp_path / "qrels" / "test.tsv",
        "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t0\nq2\td2\t2\nq9\td1\t1\n",
    )
    queries = ({"_id": f"q{i}", "text": f"query {i}"} for i in (1, 2, 3))
    _file(tmp_path / "queries.jsonl", "\n".join(map(json.dumps, queries)))
    corpus = ({"_id": f"d{i}", "title": "t", "text": f"text {i}"} for i in (1, 2))
    _file(tmp_path / "corpus.jsonl", "\n".join(map(json.dumps, corpus)))
    found = import_cases(tmp_path, "beir")
    assert [(case.id, case.evidence) for case in found.cases] == [
        ("q1", (EvidenceUnit(document="d1"),)),
        ("q2", (EvidenceUnit(document="d2"),)),
    ]
    write_documents(found.documents, tmp_path / "out.jsonl")
    first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert first == {"id": "d1", "title": "t", "text": "text 1"}
    with pytest.raises(InputError, match=r"dev\.tsv cannot be read"):
        import_cases(tmp_path, "beir", split="dev")


def test_evidence_is_matched_to_stored_documents(app: Application, tmp_path: Path) -> None:
    stored = " ".join(DOCUMENTS["turtle.txt"].split()[:12]).upper()
    rows = [
        {"user_input": "A?", "reference_contexts": [stored]},
        {"user_input": "B?", "reference_contexts": ["stands nowhere"]},
    ]
    found = match(import_cases(_file(tmp_path / "r.json", rows), "ragas"), app)
    assert found.cases[0].evidence == (EvidenceUnit(document="turtle.txt", quote=stored),)
    assert (found.matched, found.unmatched) == (1, ("2",))
    assert found.cases[1].evidence == ()


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("squad", [], "not in the format of SQuAD"),
        ("squad", {"data": [{"paragraphs": [{}]}]}, "not in the format of SQuAD"),
        ("squad", "{", "not valid JSON"),
        ("squad", {"data": []}, "holds no case"),
        ("ragas", [{"user_input": [{"content": "hi"}]}], "row 1, has no user_input"),
        ("ragas", [1], "row 1, is not a JSON object"),
        ("ragas", [{"question": "?", "reference_contexts": "text"}], "no texts"),
        ("ragas", '{"question": "?"}\n{', ":2 is not valid JSON"),
    ],
)
def test_other_content_is_refused_by_place(tmp_path: Path, kind: Format, content: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        import_cases(_file(tmp_path / "file", content), kind)
