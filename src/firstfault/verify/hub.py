"""Published entailment models behind the same interface: HHEM, MiniCheck, FactCG, LettuceDetect, or your own.

In: a hub name or a folder. Out: a `Verifier`. Needs the optional extra `hub` (torch and transformers).
"""

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from firstfault.errors import ConfigError, MissingError
from firstfault.types import Evidence, Status, Support, SupportLabel
from firstfault.verify.calibration import Calibration
from firstfault.verify.local import Pair, unknown, why_unknown
from firstfault.verify.passages import Sentence, pieces, read, select
from firstfault.verify.sentences import split_claims, without_citations
from firstfault.verify.signals import closest
from firstfault.verify.terms import terms

Kind = Literal["classifier", "seq2seq", "tokens", "hhem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a family of models is asked and how its answer is read."""

    match: str
    """Part of the model's name, lower case."""
    kind: Kind
    """`classifier`: one sequence, supported is a class; `seq2seq`: the first generated token; `tokens`: each
    token of the claim is supported or not; `hhem`: code of its own, asked through its `predict`."""
    template: str | None = None
    """One text with {context}, {claim} and {eos}; None: the tokenizer joins the two."""
    opening: str = "{context}"
    """Without a template: what stands for the context."""
    supported: str | int = "entail"
    """Class label (or part of it) or index that means supported; for `tokens` the index of *unsupported*."""
    foreign_code: bool = False
    """Whether the model comes with Python code that must be trusted to run."""


FAMILIES = (
    Family(
        match="hallucination_evaluation_model",
        kind="hhem",
        foreign_code=True,
    ),
    Family(match="minicheck-flan-t5", kind="seq2seq", template="predict: {context}{eos}{claim}"),
    Family(match="minicheck", kind="classifier", template="{context}{eos}{claim}", supported=1),
    Family(
        match="factcg",
        kind="classifier",
        template=(
            '{context}\n\nChoose your answer: based on the paragraph above can we conclude that "{claim}"?'
            "\n\nOPTIONS:\n- Yes\n- No\nI think the answer is "
        ),
        supported=1,
    ),
    Family(
        match="lettucedect",
        kind="tokens",
        opening="Summarize the following text:\n{context}\noutput:\n",
        supported=1,
    ),
    Family(match="", kind="classifier", supported="entail"),
)
"""Tried in order; the last one takes any sequence classifier with a class whose label contains `entail`."""

_WORDS = 300
"""Words of context that the model reads: all of a short one; of a longer one, the sentences about the
claim."""


class HubVerifier:
    """A published model, loaded on first use; its own probability, with the same evidence and bands."""

    def __init__(
        self,
        model: str,
        *,
        trust_code: bool = False,
        calibration: Calibration | None = None,
        words: int = _WORDS,
    ) -> None:
        """`model` is a hub name or a folder. `trust_code` lets the model's own Python code run."""
        self.model, self.words = model, words
        self.family = next(f for f in FAMILIES if f.match in model.lower())
        if self.family.foreign_code and not trust_code:
            raise ConfigError(
                f"{model} runs Python code of its own.", hint="Read that code, then pass trust_code=True."
            )
        self._trust = trust_code
        self.calibration = calibration or Calibration(slope=1.0, intercept=0.0)
        self._loaded: tuple[Any, Any, Any] | None = None

    @property
    def name(self) -> str:
        """`hub-` and the model's name."""
        return f"hub-{self.model}"

    def verify_claims(self, pairs: Sequence[Pair]) -> list[Support]:
        """One verdict per pair, in order; a claim of several sentences is as good as its weakest.

        Raises:
            MissingError: the extra is not installed, or the model cannot be had.
        """
        return [self._verify(tuple(contexts), claim) for contexts, claim in pairs]

    def _verify(self, contexts: tuple[str, ...], claim: str) -> Support:
        source = read(contexts)
        obstacle = why_unknown(source, claim)
        if obstacle:
            return unknown(obstacle)
        plain = without_citations(claim)
        worst: tuple[float, Sentence | None] | None = None
        for start, end in (piece for a, b in split_claims(plain) for piece in pieces(plain, a, b)):
            text = plain[start:end]
            claim_terms = terms(text)
            chosen = select(source.sentences, claim_terms, self.words)
            if sum(sentence.words for sentence in source.sentences) <= self.words:
                chosen = list(source.sentences)
            probability = self._probability(" ".join(" ".join(s.text.split()) for s in chosen), text)
            if not math.isfinite(probability):
                return unknown(f"{self.model} gave no finite score.")
            if worst is None or probability < worst[0]:
                worst = (probability, closest(claim_terms, chosen))
        assert worst is not None  # a claim with a word has a sentence
        return self._verdict(*worst)

    def _verdict(self, probability: float, at: Sentence | None) -> Support:
        clipped = min(max(probability, 1e-6), 1 - 1e-6)
        score = self.calibration.probability(math.log(clipped / (1 - clipped)))
        label: SupportLabel = "uncertain"
        status: Status = "warn"
        if score >= self.calibration.upper:
            label, status = "supported", "ok"
        elif score < self.calibration.lower:
            label, status = "unsupported", "fail"
        evidence = None
        if at is not None:
            evidence = Evidence(context=at.context, start=at.start, end=at.end, text=at.text)
        return Support(
            name="support",
            status=status,
            measured=score,
            limit=self.calibration.upper,
            reason=f"{self.model} gives it {probability:.2f}.",
            label=label,
            score=score,
            evidence=evidence,
        )

    def _load(self) -> tuple[Any, Any, Any]:
        if self._loaded is None:
            try:
                torch: Any = importlib.import_module("torch")
                transformers: Any = importlib.import_module("transformers")
            except ImportError:
                raise MissingError(
                    "Hub models need torch and transformers.", hint='Run: pip install "firstfault[hub]"'
                ) from None
            classes = {
                "classifier": transformers.AutoModelForSequenceClassification,
                "hhem": transformers.AutoModelForSequenceClassification,
                "seq2seq": transformers.AutoModelForSeq2SeqLM,
                "tokens": transformers.AutoModelForTokenClassification,
            }
            try:
                model = classes[self.family.kind].from_pretrained(self.model, trust_remote_code=self._trust)
                tokenizer = None
                if self.family.kind != "hhem":
                    tokenizer = transformers.AutoTokenizer.from_pretrained(self.model)
            except (OSError, ValueError) as problem:
                raise MissingError(
                    f"The model {self.model} cannot be loaded: {problem}",
                    hint="Check its name and the network, or give a folder that holds it.",
                ) from problem
            self._loaded = (torch, model.eval(), tokenizer)
        return self._loaded

    def _probability(self, context: str, claim: str) -> float:
        torch, model, tokenizer = self._load()
        family = self.family
        if family.kind == "hhem":
            return float(model.predict([(context, claim)])[0])
        if family.template is None:
            given = tokenizer(family.opening.format(context=context), claim, return_tensors="pt")
        else:
            eos = tokenizer.eos_token or tokenizer.sep_token or ""
            given = tokenizer(
                family.template.format(context=context, claim=claim, eos=eos), return_tensors="pt"
            )
        with torch.no_grad():
            if family.kind == "seq2seq":
                start = torch.tensor([[model.config.decoder_start_token_id]])
                logits = model(**given, decoder_input_ids=start).logits[0, 0]
                no, yes = (tokenizer(word, add_special_tokens=False).input_ids[0] for word in ("0", "1"))
                return float(torch.softmax(logits[[no, yes]], -1)[1])
            logits = model(**given).logits
            if family.kind == "tokens":
                own = torch.tensor([i == 1 for i in given.sequence_ids(0)])
                unsupported = torch.softmax(logits[0, own], -1)[:, family.supported]
                return 1 - float(unsupported.max())
            return float(torch.softmax(logits[0], -1)[self._supported_class(model)])

    def _supported_class(self, model: Any) -> int:
        if isinstance(self.family.supported, int):
            return self.family.supported
        for index, label in sorted(model.config.id2label.items()):
            text = str(label).lower()
            if self.family.supported in text and not text.startswith(("not", "non")):
                return int(index)
        raise ConfigError(
            f"{self.model} has no class for supported: {sorted(model.config.id2label.values())}.",
            hint="Use a model with an `entailment` class.",
        )
