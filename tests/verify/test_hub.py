"""The hub adapter on tiny models made here: their weights mean nothing, their interfaces are the real
ones."""

from pathlib import Path
from typing import Any

import pytest

from firstfault.errors import ConfigError, MissingError
from firstfault.verify.hub import FAMILIES, HubVerifier

CONTEXT = ["Luke Kuechly led the team with 118 tackles. The Broncos won in Santa Clara."]


def test_names_find_their_family() -> None:
    def kind(name: str) -> str:
        return next(family for family in FAMILIES if family.match in name.lower()).kind

    assert kind("vectara/hallucination_evaluation_model") == "hhem"
    assert kind("lytang/MiniCheck-Flan-T5-Large") == "seq2seq"
    assert kind("lytang/MiniCheck-RoBERTa-Large") == "classifier"
    assert kind("KRLabsOrg/lettucedect-base-modernbert-en-v1") == "tokens"
    assert kind("yaxili96/FactCG-DeBERTa-v3-Large") == "classifier"
    assert kind("somebody/any-nli-model") == "classifier"


def test_foreign_code_needs_trust() -> None:
    with pytest.raises(ConfigError, match="of its own"):
        HubVerifier("vectara/hallucination_evaluation_model")


def test_what_cannot_be_judged_loads_nothing() -> None:
    assert HubVerifier("no/such-model").verify_claims([(CONTEXT, " ")])[0].label == "unknown"


@pytest.fixture
def transformers() -> Any:
    pytest.importorskip("torch")
    return pytest.importorskip("transformers")


def tokenizer(transformers: Any, folder: Path) -> None:
    words = sorted({word for text in CONTEXT for word in text.lower().replace(".", " .").split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *"abcdefghijklmnopqrstuvwxyz01.:"]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)), encoding="utf-8")
    transformers.BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)


def tiny(transformers: Any, folder: Path, kind: str, labels: dict[int, str]) -> str:
    torch: Any = pytest.importorskip("torch")

    torch.manual_seed(1)
    folder.mkdir(parents=True)
    tokenizer(transformers, folder)
    config = transformers.BertConfig(
        vocab_size=200,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        id2label=labels,
        label2id={name: i for i, name in labels.items()},
    )
    getattr(transformers, f"BertFor{kind}")(config).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [
        ("any-nli", "SequenceClassification", {0: "contradiction", 1: "neutral", 2: "entailment"}),
        ("minicheck-tiny", "SequenceClassification", {0: "no", 1: "yes"}),
        ("factcg-tiny", "SequenceClassification", {0: "no", 1: "yes"}),
        ("lettucedect-tiny", "TokenClassification", {0: "supported", 1: "hallucinated"}),
    ],
)
def test_a_model_from_a_folder_judges(
    transformers: Any, tmp_path: Path, name: str, kind: str, labels: dict[int, str]
) -> None:
    verifier = HubVerifier(tiny(transformers, tmp_path / name, kind, labels))
    found = verifier.verify_claims([(CONTEXT, "Kuechly led the team. The Broncos won."), (CONTEXT, "")])
    assert found[0].score is not None
    assert 0 < found[0].score < 1
    assert found[0].evidence is not None
    assert found[1].label == "unknown"
    assert verifier.verify_claims([(CONTEXT, "Kuechly led the team. The Broncos won.")])[0] == found[0]


def test_a_seq2seq_model_answers_with_its_first_token(transformers: Any, tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")

    torch.manual_seed(1)
    folder = tmp_path / "minicheck-flan-t5-tiny"
    folder.mkdir()
    tokenizer(transformers, folder)
    config = transformers.T5Config(
        vocab_size=200, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    score = HubVerifier(str(folder)).verify_claims([(CONTEXT, "Kuechly led the team.")])[0].score
    assert score is not None
    assert 0 < score < 1


def test_a_classifier_without_entailment_is_refused(transformers: Any, tmp_path: Path) -> None:
    model = tiny(transformers, tmp_path / "sentiment", "SequenceClassification", {0: "good", 1: "bad"})
    with pytest.raises(ConfigError, match="no class for supported"):
        HubVerifier(model).verify_claims([(CONTEXT, "Kuechly led the team.")])


def test_a_missing_model_says_what_to_do(transformers: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="cannot be loaded"):
        HubVerifier(str(tmp_path / "nothing")).verify_claims([(CONTEXT, "Kuechly led the team.")])
