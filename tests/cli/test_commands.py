"""Each command does what its help says, on real models."""

from pathlib import Path

from tests.cli.conftest import DOCUMENTS, Run
from tests.models.test_llama import write_adapter

EXTRACTIVE = ("--set", "generator.kind=extractive")


def test_search_shows_every_arm(run: Run, home: Path) -> None:
    hits = run("--home", home, "search", "greatest common divisor", "--json").json["hits"]
    assert hits[0]["chunk"]["document_id"] == "gcd.md"
    assert set(hits[0]["arms"]) == {"dense", "bm25", "fuse", "rerank"}
    assert "gcd.md" in run("--home", home, "search", "greatest common divisor").out


def test_chunks_with_equal_text_stay_apart(run: Run, home: Path) -> None:
    hits = run("--home", home, "search", "warranty of the red pump", "--json").json["hits"]
    assert {hit["chunk"]["document_id"] for hit in hits[:2]} == {"twin-a.txt", "twin-b.txt"}


def test_the_filter_holds_in_every_arm_and_lists_do_not_come_back_short(run: Run, home: Path) -> None:
    found = run("--home", home, "search", "programming pump", "--where", "year >= 2000", "--json").json[
        "hits"
    ]
    assert {hit["chunk"]["document_id"] for hit in found} == {"gcd.md", "copy.md"}


def test_the_lexical_arm_gives_no_credit_without_a_common_term(run: Run, home: Path) -> None:
    for hit in run("--home", home, "search", "zebra turtle", "--json").json["hits"]:
        assert ("bm25" in hit["arms"]) == (hit["chunk"]["document_id"] == "turtle.txt")


def test_metadata_is_not_embedded(run: Run, home: Path) -> None:
    for hit in run("--home", home, "search", "function 2020", "--json").json["hits"]:
        assert "year:" not in hit["chunk"]["text"]
        if hit["chunk"]["document_id"] == "gcd.md":
            assert "bm25" not in hit["arms"]


def test_ask_returns_the_contract_and_citations_are_byte_exact(run: Run, home: Path, corpus: Path) -> None:
    done = run("--home", home, *EXTRACTIVE, "ask", "What does math.gcd return?", "--json")
    assert done.code == 0
    answer = done.json
    assert set(answer) >= {"trace_id", "answer", "abstained", "sentences", "citations", "timings_ms"}
    assert not answer["abstained"]
    assert {"embed", "index", "fuse", "rerank", "pack", "generate", "cite"} <= set(answer["timings_ms"])
    for citation in answer["citations"]:
        text = (corpus / citation["document_id"]).read_text().split("---\n")[-1]
        assert citation["cited_text"] in text
        assert citation["end_char_index"] - citation["start_char_index"] == len(citation["cited_text"])


def test_the_small_model_answers_with_checked_sentences(run: Run, home: Path) -> None:
    first = run("--home", home, "ask", "What does math.gcd return?", "--json").json
    again = run("--home", home, "ask", "What does math.gcd return?", "--json").json
    for answer in (first, again):
        answer.pop("trace_id")
        answer.pop("timings_ms")
    assert first == again
    labels = {"supported", "uncertain", "unsupported", "unknown"}
    assert all(sentence["verdict"] in labels for sentence in first["sentences"])


def test_a_question_about_something_else_is_not_answered(run: Run, home: Path) -> None:
    answer = run("--home", home, "ask", "Who won the football world cup in 2022?", "--json").json
    assert answer["abstained"]
    assert answer["citations"] == []


def test_the_trace_holds_what_happened_and_replays(run: Run, home: Path) -> None:
    asked = run("--home", home, *EXTRACTIVE, "ask", "How does copy2 treat metadata?", "--json").json
    trace = run("--home", home, "trace", asked["trace_id"], "--json").json
    assert trace["hits"]
    assert trace["context"]["passages"]
    assert trace["settings"]["generator"]["kind"] == "extractive"
    replayed = run(
        "--home", home, "replay", asked["trace_id"], "--set", "search.dense_weight=0.9", "--json"
    ).json
    assert replayed["replayed_from"] == "fuse"
    assert replayed["replay_of"] == asked["trace_id"]
    same = run("--home", home, "replay", asked["trace_id"], "--set", "answer.policy=strip", "--json").json
    assert same["replayed_from"] == "cite"
    assert same["sentences"] == asked["sentences"]
    for shown in (("trace", asked["trace_id"]), ("traces",), ("replay", asked["trace_id"])):
        assert run("--home", home, *shown).code == 0


def test_a_replay_cannot_change_what_is_stored(run: Run, home: Path) -> None:
    asked = run("--home", home, *EXTRACTIVE, "ask", "How does copy2 treat metadata?", "--json").json
    done = run("--home", home, "replay", asked["trace_id"], "--set", "chunking.max_tokens=64")
    assert done.code == 2


def test_a_changed_document_is_replaced_and_an_old_trace_still_replays(run: Run, tmp_path: Path) -> None:
    folder, home = tmp_path / "docs", tmp_path / "home"
    folder.mkdir()
    (folder / "price.txt").write_text("The blue pump costs 40 euros in every shop of the country.")
    run("--home", home, "ingest", folder)
    before = run("--home", home, *EXTRACTIVE, "ask", "What does the blue pump cost?", "--json").json
    (folder / "price.txt").write_text("The blue pump costs 55 euros in every shop of the country.")
    assert run("--home", home, "ingest", folder, "--json").json["replaced"] == 1
    after = run("--home", home, *EXTRACTIVE, "ask", "What does the blue pump cost?", "--json").json
    assert "55" in after["answer"]
    assert "40" not in after["answer"]
    replayed = run("--home", home, "replay", before["trace_id"], "--json").json
    assert replayed["answer"] == before["answer"]
    (folder / "price.txt").unlink()
    (folder / "other.txt").write_text("The green pump is sold out until spring.")
    pruned = run("--home", home, "ingest", folder, "--prune", "--json").json
    assert pruned["retired"] == 1
    assert run("--home", home, "gc", "--keep-days", "0").code == 0


def test_an_unchanged_corpus_is_skipped(run: Run, home: Path, corpus: Path) -> None:
    again = run("--home", home, "ingest", corpus, "--json").json
    assert again["unchanged"] == len(DOCUMENTS)
    assert again["added"] == again["replaced"] == 0


def test_status_documents_config_and_models(run: Run, home: Path) -> None:
    assert run("--home", home, "status", "--json").json["documents"] == len(DOCUMENTS)
    assert len(run("--home", home, "documents", "--json").json["documents"]) == len(DOCUMENTS)
    settings = run("--home", home, "--set", "search.top_k=3", "config", "--json").json["settings"]
    assert {"key": "search.top_k", "value": 3, "origin": "--set"} in settings
    for command in (["status"], ["documents"], ["config"], ["models", "list"]):
        assert run("--home", home, *command).code == 0


def test_doctor_passes_on_a_healthy_home_and_names_a_dead_endpoint(run: Run, home: Path) -> None:
    healthy = run("--home", home, "doctor", "--json")
    assert healthy.code == 0, healthy.out
    dead = run(
        *("--home", home, "--set", "generator.kind=openai", "--set", "generator.model=m"),
        *("--set", "generator.base_url=http://127.0.0.1:9/v1", "doctor", "--json"),
    )
    assert dead.code == 1
    (finding,) = [check for check in dead.json["checks"] if check["status"] == "fail"]
    assert finding["remedy"]


def test_ask_names_the_adapter_on_its_trace(run: Run, home: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "a.gguf", 1.0)
    done = run(
        "--home", home, "ask", "What does math.gcd return?", "--adapter", tmp_path / "a.gguf", "--json"
    )
    assert done.json["adapter"]["name"] == str(tmp_path / "a.gguf")
    digest = done.json["adapter"]["digest"]
    shown = run("--home", home, "trace", done.json["trace_id"]).out
    assert f"adapter {tmp_path / 'a.gguf'} ({digest[:12]})" in shown
    assert "adapter" not in run("--home", home, "ask", "What does math.gcd return?", "--json").json
    absent = run("--home", home, "ask", "What does math.gcd return?", "--adapter", "tickets", "--json")
    assert absent.code == 3
    assert "No adapter 'tickets' has been released" in absent.err
