import gzip
import json
from pathlib import Path

import pytest

from firstfault.errors import InputError
from firstfault.verify.local import LocalVerifier
from firstfault.verify.recalibrate import Labelled, read_labels, recalibrate


def test_refitting_reports_before_and_after(labelled: list[Labelled]) -> None:
    contexts = labelled[0].contexts
    labels = [*labelled, Labelled(contexts=contexts, claim="?", label=1)]
    found = recalibrate(LocalVerifier(), labels, fitted_on="x")
    assert found.skipped == 1
    assert found.before.n == found.after.n == 40
    assert found.after.ece <= found.before.ece + 0.05
    assert found.after.balanced_accuracy == pytest.approx(1.0, abs=0.1)
    refitted = LocalVerifier(calibration=found.calibration)
    again = refitted.verify_claims([(contexts, labelled[0].claim)])[0]
    assert again.label == "supported"


def test_one_kind_of_label_is_refused(labelled: list[Labelled]) -> None:
    with pytest.raises(InputError, match="Cannot calibrate"):
        recalibrate(LocalVerifier(), [item for item in labelled if item.label], fitted_on="x")


def test_labels_are_read_in_every_spelling(tmp_path: Path) -> None:
    rows = [
        {"context": "a b", "claim": "c", "label": 1},
        {"context": ["a", "b"], "claim": "c", "label": False},
        {"context": "a", "claim": "c", "label": "Unsupported"},
    ]
    path = tmp_path / "labels.jsonl.gz"
    path.write_bytes(gzip.compress("\n\n".join(map(json.dumps, rows)).encode()))
    found = read_labels(path)
    assert [item.label for item in found] == [1, 0, 0]
    assert found[1].contexts == ("a", "b")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"claim": "c", "label": 1}', "no context"),
        ('{"context": [1], "claim": "c", "label": 1}', "no context"),
        ('{"context": "a", "label": 1}', "no context or no claim"),
        ('{"context": "a", "claim": "c", "label": "perhaps"}', "no label"),
        ('{"context": "a", "claim": "c", "label": 2}', "no label"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"context": "a", "claim": "c", "label": 1}\n' + line)
    with pytest.raises(InputError, match=said) as caught:
        read_labels(path)
    assert ":2 " in str(caught.value)


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    for name in ("empty.jsonl", "none.jsonl"):
        with pytest.raises(InputError):
            read_labels(tmp_path / name)
