import json
import math
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstfault.types import Support
from firstfault.verify import LocalVerifier, verify, verify_claims
from firstfault.verify.calibration import Calibration

CONTEXT = [
    "The Panthers defense gave up just 308 points in 2015, ranking sixth in the league. Luke Kuechly led"
    " the team "
    "with 118 tackles.",
    "The Broncos won in Santa Clara. Peyton Manning became the oldest quarterback to win a Super Bowl.",
]
CLAIMS = [
    "The Panthers defense gave up 308 points in 2015.",
    "The Panthers defense gave up 410 points in 2015.",
    "Luke Kuechly led the team with 118 tackles.",
    "Peyton Manning led the team with 118 tackles.",
    "The Broncos did not win in Santa Clara.",
    "The stadium was painted green by volunteers from Norway.",
]


def sound(found: Support) -> None:
    assert found.name == "support"
    if found.label == "unknown":
        assert found.score is None
        assert found.reason
        return
    assert found.score is not None
    assert math.isfinite(found.score)
    assert 0 <= found.score <= 1
    assert found.measured == found.score
    assert {"supported": "ok", "uncertain": "warn", "unsupported": "fail"}[found.label] == found.status


def test_true_stands_above_false() -> None:
    scores = [found.score or 0 for found in verify_claims([(CONTEXT, claim) for claim in CLAIMS])]
    assert min(scores[0], scores[2]) > max(scores[1], scores[3], scores[4], scores[5])


def test_a_copied_sentence_is_supported_and_a_foreign_one_is_not() -> None:
    assert verify(CONTEXT, "Luke Kuechly led the team with 118 tackles.").label == "supported"
    assert verify(CONTEXT, CLAIMS[5]).label == "unsupported"


def test_evidence_is_an_exact_span() -> None:
    found = verify(CONTEXT, "Peyton Manning is the oldest quarterback that won a Super Bowl.")
    assert found.evidence is not None
    assert found.evidence.context == 1
    assert CONTEXT[1][found.evidence.start : found.evidence.end] == found.evidence.text
    assert "oldest quarterback" in found.evidence.text


def test_signals_are_named_and_say_what_they_saw() -> None:
    found = verify(CONTEXT, CLAIMS[1])
    names = [signal.name for signal in found.signals]
    assert names[:4] == ["best_passage_recall", "number_mismatch", "unseen_entity", "negation_conflict"]
    assert "410" in found.reason


def test_one_answer_whatever_the_company_and_however_often() -> None:
    alone = [verify(CONTEXT, claim) for claim in CLAIMS]
    rng = random.Random(4)
    for _ in range(10):
        order = rng.sample(range(len(CLAIMS)), len(CLAIMS))
        together = verify_claims([(CONTEXT, CLAIMS[i]) for i in order])
        assert [alone[i] for i in order] == together


def test_a_hundred_runs_give_one_answer() -> None:
    once = LocalVerifier()
    answers = {once.verify_claims([(CONTEXT, CLAIMS[3])])[0] for _ in range(99)}
    answers.add(LocalVerifier().verify_claims([(CONTEXT, CLAIMS[3])])[0])
    assert len(answers) == 1


def test_more_threads_give_the_same_to_three_places() -> None:
    one, two = (LocalVerifier(threads=n).verify_claims([(CONTEXT, CLAIMS[3])])[0].score for n in (1, 2))
    assert one == pytest.approx(two, abs=1e-3)


def test_an_answer_is_as_good_as_its_weakest_sentence() -> None:
    good, bad = "Luke Kuechly led the team with 118 tackles.", "The Broncos lost 410 games in Norway."
    both, alone = verify(CONTEXT[:1], f"{good} {bad}"), verify(CONTEXT[:1], bad)
    assert both.score == pytest.approx(alone.score, abs=0.02)
    assert (both.score or 0) <= (alone.score or 0)
    assert "weakest sentence of 2" in both.reason


def test_that_answers_are_mostly_right_supports_none() -> None:
    worst = [verify(CONTEXT, f"{CLAIMS[0]} {claim}") for claim in CLAIMS]
    for found, claim in zip(worst, CLAIMS, strict=True):
        if verify(CONTEXT, claim).label != "supported":
            assert found.label != "supported"


def test_a_context_that_breaks_off_excuses_but_does_not_support() -> None:
    page = " ".join(f"On day {i} the weather in the valley stayed calm and grey." for i in range(8))
    claim = "Odile Karras opened the tramway in 1931."
    cut, whole = verify([f"{page} She had been mayor of the"], claim), verify([page], claim)
    assert (cut.score or 0) > (whole.score or 0)
    assert cut.label == "uncertain"
    assert "breaks off" in cut.reason


def test_what_speaks_against_a_supported_claim_is_not_given_as_its_reason() -> None:
    lenient = LocalVerifier(calibration=Calibration(slope=1.0, intercept=20.0))
    found = lenient.verify_claims([(["The motor must not run dry."], "The motor may run dry.")])[0]
    assert found.label == "supported"
    assert found.reason == 'The context supports it, although claim is not negated, context says "not".'


def test_citation_marks_change_nothing() -> None:
    assert verify(CONTEXT, f"{CLAIMS[0]}[1][2]").score == verify(CONTEXT, CLAIMS[0]).score


def test_a_needle_in_a_long_context_is_found() -> None:
    filler = " ".join(f"On day {i} the weather in the valley stayed calm and grey." for i in range(700))
    page = (
        filler[: len(filler) // 2]
        + " Mayor Odile Karras opened the tramway in 1931. "
        + filler[len(filler) // 2 :]
    )
    found = verify([page], "Odile Karras opened the tramway in 1931.")
    assert found.evidence is not None
    assert "Odile Karras" in found.evidence.text
    assert (found.score or 0) > (verify([filler], "Odile Karras opened the tramway in 1931.").score or 0)


@pytest.mark.parametrize(
    ("contexts", "claim", "reason"),
    [
        (CONTEXT, "", "empty"),
        (CONTEXT, " \n\t", "empty"),
        (CONTEXT, "[1][2]", "empty"),
        (CONTEXT, "?!…", "empty"),
        ([], "A claim.", "No context"),
        (["", "  "], "A claim.", "No context"),
        (
            ["Der Hund und die Katze sind nicht in dem Haus."],
            "The dog is in the house with the cat.",
            "German",
        ),
        (["Собака и кошка в доме"], "The dog is in the house with the cat.", "cyrillic"),
    ],
)
def test_what_cannot_be_judged_is_unknown_with_a_reason(contexts: list[str], claim: str, reason: str) -> None:
    found = verify(contexts, claim)
    sound(found)
    assert found.label == "unknown"
    assert reason in found.reason


def test_one_other_language_is_judged_by_words() -> None:
    found = verify(
        ["Der Hund und die Katze sind nicht in dem Haus."], "Die Katze und der Hund sind nicht in dem Haus."
    )
    sound(found)
    assert "words alone" in found.reason


@pytest.mark.parametrize(
    "claim",
    [
        " ".join(f"word{i}" for i in range(5000)),
        "A fact about nothing. " * 250,
        "x" * 20000,
        "null\x00 bell\x07 escape\x1b[31m \ud800 lone \u202e right to left",
        "\ufeffZero\u200bwidth\u2060joiners",
        "🙂" * 50 + " a smile",
    ],
)
def test_odd_claims_get_a_verdict(claim: str) -> None:
    sound(verify(CONTEXT, claim))
    sound(verify([claim], "A fact about nothing."))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=3), st.text(max_size=200))
def test_any_text_gets_a_sound_verdict(contexts: list[str], claim: str) -> None:
    sound(verify(contexts, claim))


def test_the_package_opens_without_the_heavy_libraries() -> None:
    code = (
        "import json, sys, firstfault.verify; "
        "print(json.dumps([m for m in ('numpy', 'onnxruntime', 'tokenizers', 'openai', 'torch', 'pydantic') "
        "if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
