"""Fixes on real, broken applications: chosen on one part of the cases, proven on the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from tests.diagnose.conftest import CASES as TOWN
from tests.diagnose.conftest import Endpoint, opened, oracle
from tests.diagnose.observatories import CASES, PLACES, run_cases, text_of

import firstfault
from firstfault.answer import Application
from firstfault.collection.database import writing
from firstfault.collection.schema import chunks, embeddings
from firstfault.collection.shadow import shadow_name, shadows
from firstfault.diagnose.apply import apply, discard_shadow
from firstfault.diagnose.fix import FixReport, fix
from firstfault.diagnose.playbook import Playbook
from firstfault.errors import InputError
from firstfault.models import store
from firstfault.types import CaseResult, Diagnosis, Finding, Run


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observatories")
    for number, place in enumerate(PLACES):
        (folder / f"{place}.txt").write_text(text_of(place, 40 + number), encoding="utf-8")
    return folder


Broken = Callable[..., Application]


@pytest.fixture
def broken(tmp_path: Path, documents: Path) -> Iterator[Broken]:
    """Opens a new application with these settings over the documents."""
    store.pull()
    opened: list[Application] = []

    def make(**settings: str) -> Application:
        values = {"generator.kind": "extractive"} | {
            name.replace("__", "."): value for name, value in settings.items()
        }
        app = firstfault.open(tmp_path / "home", settings=values, create=True)
        opened.append(app)
        app.ingest([documents])
        return app

    yield make
    for app in opened:
        if "_closed" not in vars(app.collection):  # a test may close it itself
            app.close()


def finding(app: Application, stage: str, cause: str, results: Sequence[CaseResult], metric: str) -> Finding:
    """What a diagnosis of these results would say, without its probes."""
    failing = tuple(one.case_id for one in results if one.scores[metric].value != 1.0)
    return Finding(
        stage=stage,
        cause=cause,
        cases=failing,
        share=len(failing) / len(results),
        ci_low=0.0,
        ci_high=1.0,
        verified=0,
        evidence="",
        example=None,
        remedy=Playbook.load().remedy(cause, app.settings, stage=stage),
    )


def diagnosis(*findings: Finding) -> Diagnosis:
    return Diagnosis(
        scope="run",
        healthy=not findings,
        primary=findings[0] if findings else None,
        findings=findings,
        scattered=(),
        unknown=(),
        flaky=(),
        cases=len(CASES),
        failing=0,
        path=(),
        latency=(),
        model_calls=0,
        next_command="",
    )


def repaired(
    app: Application, run: Run, results: Sequence[CaseResult], *findings: Finding, budget: int | None = None
) -> FixReport:
    """Fix by a playbook whose candidates for new chunks are few, since each costs a collection."""
    few = app.config.home.parent / "few.toml"
    default = '{ "chunking.max_tokens" = "default", "chunking.overlap_tokens" = "default" }'
    few.write_text(f'[split_evidence.remedy]\npatches = [{default}, {{ "search.top_k" = "x2" }}]\n')
    playbook = Playbook.load(few)
    return fix(app, run, results, diagnosis(*findings), playbook=playbook, budget=budget)


def test_a_small_prompt_is_repaired_with_the_smallest_patch_that_suffices(broken: Broken) -> None:
    app = broken(pack__budget_tokens="64")
    run, results = run_cases(app)
    before = len(list(app.traces.newest(limit=1000)))
    report = repaired(app, run, results, finding(app, "pack", "context_truncated", results, "context_recall"))
    (trial,) = report.trials
    assert trial.verified, trial.reason
    assert report.patch == trial.patch == {"pack.budget_tokens": 900}  # the default, of those that suffice
    assert (trial.before, trial.after) == (0.0, 1.0)
    assert trial.n < len(CASES)
    tried = [attempt.patch["pack.budget_tokens"] for attempt in report.fixes[0].attempts]
    assert {128, 256, 900} <= set(tried)
    assert len(list(app.traces.newest(limit=1000))) == before  # trials leave no traces
    assert report.shadow is None


def test_the_same_run_gives_the_same_trials(broken: Broken) -> None:
    app = broken(search__top_k="1", search__dense_weight="0.0")
    run, results = run_cases(app)
    found = finding(app, "rerank", "reranker_demotes", results, "context_precision_ap")

    def without_clock(report: FixReport) -> object:
        return [replace(one, latency_before_ms=None, latency_after_ms=None) for one in report.trials]

    one, other = (repaired(app, run, results, found) for _ in range(2))
    assert without_clock(one) == without_clock(other)


def test_few_cases_are_never_called_a_proof(broken: Broken) -> None:
    app = broken(pack__budget_tokens="64")
    run, results = run_cases(app, CASES[:5])
    report = repaired(app, run, results, finding(app, "pack", "context_truncated", results, "context_recall"))
    (trial,) = report.trials
    assert trial.delta == 1.0
    assert not trial.verified
    assert "at least 12 cases" in trial.reason
    assert report.patch == {}


def test_documents_are_cut_anew_beside_the_live_collection_and_the_switch_keeps_the_past(
    broken: Broken,
) -> None:
    app = broken(chunking__max_tokens="16", chunking__overlap_tokens="0", search__top_k="1")
    run, results = run_cases(app)
    chunks = app.collection.info().chunks
    report = repaired(app, run, results, finding(app, "chunk", "split_evidence", results, "context_recall"))
    (trial,) = report.trials
    assert trial.verified, trial.reason
    assert app.collection.info().chunks == chunks  # the live one is as it was
    assert report.shadow is not None
    assert shadows(app.config.home, "default") == [report.shadow.collection]
    old_trace = app.traces.get(results[0].trace_id or "")
    app.close()

    done = apply(report, app.config, app.config.home.parent / "firstfault.toml", "default")
    assert done.file is not None
    assert "chunking.max_tokens" in report.patch
    settings = {name: str(value) for name, value in report.patch.items()}
    fixed = {"generator.kind": "extractive", "search.top_k": "1", **settings}
    with firstfault.open(app.config.home, settings=fixed) as again:
        assert again.collection.info().retired_chunks == chunks
        _, after = run_cases(again)
        assert sum(one.scores["context_recall"].value or 0 for one in after) > len(after) * 0.9
        replayed = again.replay(old_trace, {"search.top_k": "2"})  # the past can still be replayed
        assert replayed.hits


def test_what_is_not_applied_leaves_no_shadow(broken: Broken) -> None:
    app = broken(chunking__max_tokens="16", chunking__overlap_tokens="0", search__top_k="1")
    run, results = run_cases(app)
    report = repaired(app, run, results, finding(app, "chunk", "split_evidence", results, "context_recall"))
    app.close()
    discard_shadow(report)
    assert shadows(app.config.home, "default") == []


def test_a_later_finding_is_tried_on_top_of_what_is_proven(broken: Broken) -> None:
    app = broken(pack__budget_tokens="64", answer__min_relevance="0.95")
    run, results = run_cases(app, generation=True)
    truncated = finding(app, "pack", "context_truncated", results, "context_recall")
    abstaining = finding(app, "generate", "wrong_abstention", results, "abstention_accuracy")
    report = repaired(app, run, results, truncated, abstaining)
    assert [trial.verified for trial in report.trials] == [True, True], [t.reason for t in report.trials]
    assert set(report.patch) == {"pack.budget_tokens", "answer.min_relevance"}
    assert report.trials[1].after == 1.0
    assert report.generations == 0  # the extractive generator is no model


def test_a_cause_that_no_setting_repairs_says_so(broken: Broken) -> None:
    app = broken()
    run, results = run_cases(app)
    lost = finding(app, "corpus", "missing_document", results, "context_precision")
    report = repaired(app, run, results, lost)
    assert report.trials == ()
    assert "no setting repairs this" in report.fixes[0].reason


def test_answers_are_needed_for_causes_of_answers(broken: Broken) -> None:
    app = broken(answer__min_relevance="0.95")
    run, results = run_cases(app)
    found = finding(app, "generate", "wrong_abstention", results, "abstention_accuracy")
    assert "--no-generation" in repaired(app, run, results, found).fixes[0].reason


def test_changed_documents_ask_for_a_new_run(broken: Broken) -> None:
    app = broken(pack__budget_tokens="64")
    run, results = run_cases(app)
    app.collection.retire(["Arosa.txt"])
    with pytest.raises(InputError, match=r"eval cases\.jsonl"):
        repaired(app, run, results)


def repaired_anew(broken: Broken, app: Application, cause: str, stage: str) -> tuple[FixReport, float]:
    """Fix and apply; the report, and the recall of the application afterwards."""
    run, results = run_cases(app)
    report = repaired(app, run, results, finding(app, stage, cause, results, "context_recall"))
    app.close()
    apply(report, app.config, app.config.home.parent / "firstfault.toml", "default")
    settings = {key: str(value) for key, value, origin in app.config.items() if origin == "--set"}
    with firstfault.open(app.config.home, settings=settings) as again:
        _, after = run_cases(again)
        assert all(verdict.status == "ok" for verdict in again.collection.check())
    return report, sum(one.scores["context_recall"].value or 0 for one in after) / len(after)


def half(app: Application) -> list[int]:
    """Keys of the chunks of every other document."""
    return [key for place in PLACES[::2] for key, _ in app.collection.chunks_of(f"{place}.txt")]


def test_an_index_that_lacks_points_is_made_anew(broken: Broken) -> None:
    app = broken()
    app.collection._index.delete(half(app))
    report, recall = repaired_anew(broken, app, "unindexed_points", "index")
    assert [(trial.repair, trial.verified) for trial in report.trials] == [("reindex", True)]
    assert recall == 1.0


def test_lost_chunks_are_cut_anew_from_the_stored_texts(broken: Broken) -> None:
    app = broken()
    keys = half(app)
    app.collection._index.delete(keys)
    with writing(app.collection._engine) as connection:
        connection.execute(delete(chunks).where(chunks.c.id.in_(keys)))
    report, recall = repaired_anew(broken, app, "lost_text", "chunk")
    assert [(trial.repair, trial.verified) for trial in report.trials] == [("rechunk", True)]
    assert recall == 1.0


def test_vectors_of_another_model_are_made_anew(broken: Broken) -> None:
    app = broken(search__dense_weight="1.0", search__rerank="none", search__top_k="1")
    with writing(app.collection._engine) as connection:
        rows = connection.execute(select(embeddings.c.id, embeddings.c.vector)).all()
        for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
            connection.execute(
                update(embeddings).where(embeddings.c.id == row.id).values(vector=other.vector)
            )
    app.collection.rebuild_index()
    report, recall = repaired_anew(broken, app, "embedder_mismatch", "embed")
    assert [(trial.repair, trial.verified) for trial in report.trials] == [("reembed", True)]
    assert recall > 0.9
    assert not (app.config.home / "shadow").exists() or not list((app.config.home / "shadow").iterdir())


def test_what_a_killed_fix_left_is_swept(broken: Broken) -> None:
    app = broken(pack__budget_tokens="64")
    run, results = run_cases(app)
    left = app.sibling(app.settings, collection=shadow_name("default", "0123abcd"))
    left.collection.close()
    repaired(app, run, results, finding(app, "pack", "context_truncated", results, "context_recall"))
    assert shadows(app.config.home, "default") == []


def test_generations_stay_within_the_budget(home: Path, endpoint: Endpoint) -> None:
    endpoint.speak = lambda _: "The mayor of Springfield sings opera on Saturdays [1]."
    with opened(home, **endpoint.settings()) as app:
        run, results = run_cases(app, TOWN, generation=True)
        found = finding(app, "format", "truncated_output", results, "answer_correctness")
        asked = len(endpoint.prompts)
        none = repaired(app, run, results, found, budget=1)
        assert "generations are left" in none.fixes[0].reason
        assert len(endpoint.prompts) == asked
        endpoint.speak = oracle  # a longer answer would have been right
        report = repaired(app, run, results, found, budget=30)
    assert 0 < len(endpoint.prompts) - asked <= report.generations <= 30
    (trial,) = report.trials
    assert trial.patch["generator.max_tokens"] == 192
    assert trial.latency_before_ms is not None
