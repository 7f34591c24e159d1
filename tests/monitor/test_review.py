import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert
from tests.evaluate.traces import answer, citation, context, trace

from firstfault.collection.database import writing
from firstfault.collection.schema import traces as table
from firstfault.errors import InputError
from firstfault.monitor import Readings, Reviews
from firstfault.monitor.review import settled
from firstfault.types import ArmScore, SupportLabel, Trace, TraceHit
from firstfault.verify.recalibrate import read_labels


def asked(number: int, label: SupportLabel = "supported", *, near: float = 0.8) -> Trace:
    said = answer((f"Fact {number}.", label, (1,)), citations=(citation(1, "a fact", "supported"),))
    hit = TraceHit(key=1, chunk_id="d1", document_id="d1", arms={"dense": ArmScore(rank=1, score=near)})
    return replace(
        trace(context("a fact", "another"), said),
        id=f"t{number:03d}",
        at=f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}.000+00:00",
        question=f"What is fact {number}?",
        hits=(hit,),
    )


def traffic() -> list[Trace]:
    doubtful = [asked(number, "uncertain") for number in range(20)]
    far = [asked(number, near=0.2) for number in range(20, 30)]
    return doubtful + far + [asked(number) for number in range(30, 200)]


def test_doubtful_sentences_are_drawn_more_often_and_every_kind_is_drawn(engine: Engine) -> None:
    found = Reviews(engine).draw(traffic(), size=40)
    assert found.population == {"uncertain": 20, "new_topic": 10, "ordinary": 170}
    assert sum(found.drawn.values()) == 40
    assert found.drawn["uncertain"] / 20 > 2 * found.drawn["ordinary"] / 170
    assert found.drawn["new_topic"] / 10 > 2 * found.drawn["ordinary"] / 170


def test_thumbs_down_come_first(engine: Engine) -> None:
    with writing(engine) as connection:
        row = {"id": "t150", "at": "2026", "collection": "default", "question": "q", "status": "supported"}
        connection.execute(insert(table), [{**row, "record": b""}])
    Readings(engine).give_feedback("t150", "down")
    reviews = Reviews(engine)
    reviews.draw(traffic(), size=40)
    (item,) = [one for one in reviews.items() if one.stratum == "thumbs_down"]
    assert item.trace_id == "t150"


def test_nothing_is_drawn_twice_and_the_same_draw_is_the_same(engine: Engine) -> None:
    reviews = Reviews(engine)
    reviews.draw(traffic(), size=40)
    with pytest.raises(InputError, match="no sentence to review since"):
        reviews.draw(traffic(), size=40)
    later = [replace(asked(number), id=f"u{number}") for number in range(300, 320)]
    assert reviews.draw([*traffic(), *later], size=10).population == {"ordinary": 20}


def test_a_reviewer_sees_each_sentence_once_and_a_second_one_only_what_is_labelled(engine: Engine) -> None:
    reviews = Reviews(engine)
    reviews.draw(traffic(), size=20)
    first = reviews.queue("ann")[0]
    assert first.sources[0].text == "a fact"
    assert first.sources[0].cited
    reviews.label(first.id, "ann", "unsupported", "made up")
    assert first.id not in [item.id for item in reviews.queue("ann")]
    assert first.id not in [item.id for item in reviews.queue("bob")]
    assert [item.id for item in reviews.queue("bob", second=True)] == [first.id]
    assert reviews.queue("ann", second=True) == []
    done = reviews.label(first.id, "bob", "supported")
    assert settled(done) is None  # they disagree
    assert settled(reviews.label(first.id, "ann", "supported")) == 1  # a label can be corrected


@pytest.mark.parametrize(
    ("item", "reviewer", "label", "said"),
    [
        ("x:0", "ann", "supported", "no review"),
        ("", " ", "supported", "name"),
        ("", "ann", "good", "no label"),
    ],
)
def test_bad_labels_are_refused(engine: Engine, item: str, reviewer: str, label: str, said: str) -> None:
    reviews = Reviews(engine)
    reviews.draw(traffic(), size=5)
    with pytest.raises(InputError, match=said):
        reviews.label(item or reviews.items()[0].id, reviewer, label)


def test_the_rate_weighs_each_label_by_what_it_stands_for(engine: Engine) -> None:
    reviews = Reviews(engine)
    reviews.draw(traffic(), size=60)
    for item in reviews.queue("ann"):
        reviews.label(item.id, "ann", "unsupported" if item.stratum == "uncertain" else "supported")
    found = reviews.summary(width=0.05)
    assert found.rate.value == pytest.approx(0.1)  # 20 of 200, though more than 20 of 60 were drawn
    assert found.rate.low is not None
    assert found.rate.low < 0.1
    assert found.verifier_rate == 0.0
    assert found.reviewed == 60
    assert found.waiting == 0
    assert found.needed > 60


def test_labels_become_calibration_data_and_cases(engine: Engine, tmp_path: Path) -> None:
    reviews = Reviews(engine)
    made = traffic()
    reviews.draw(made, size=20)
    labelled = reviews.queue("ann")
    for number, item in enumerate(labelled):
        reviews.label(item.id, "ann", ("unsupported", "supported", "unsure")[number % 3])
    rows = list(reviews.calibration())
    assert len(rows) == sum(number % 3 != 2 for number in range(len(labelled)))
    file = tmp_path / "labels.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert [one.label for one in read_labels(file)].count(1) == len(labelled[1::3])
    cases = {case.id: case for case in reviews.cases({one.id: one for one in made})}
    good = cases[labelled[1].trace_id]
    assert good.answerable is True
    assert good.evidence[0].quote == "a fact"
    bad = cases[labelled[0].trace_id]
    assert bad.answer is None
    assert bad.evidence == ()
