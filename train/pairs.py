"""Corpora in, training groups out: a premise with several claims, some true and some edited to be false.

Claims that share a premise stand in one group, so the network sees a sentence beside its false twins.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import corpora
import edits
from corpora import Doc, Row

from firstfault.verify.passages import Sentence, read, select
from firstfault.verify.terms import rarity, terms


@dataclass(frozen=True)
class Claim:
    """A claim of a group."""

    text: str
    label: int
    spans: tuple[tuple[int, int], ...] | None
    """Characters that make it false (empty: none does); None when unknown, then only the claim's label
    counts."""
    kind: str


@dataclass(frozen=True)
class Group:
    """A premise and the claims held against it."""

    premise: str
    claims: tuple[Claim, ...]
    source: str


SUMMARY_ROUNDS = 5
"""Passes over the SummEdits sentences: they are few, and the only edits that people checked."""
Neighbours = Callable[[str], Sequence[str]]


class Maker:
    """Makes groups; everything random comes from one seeded generator."""

    def __init__(self, data: Path, neighbours: Neighbours, seed: int) -> None:
        self.rng = random.Random(seed)
        self.neighbours = neighbours
        self.rows = corpora.nli(data)
        self.docs = corpora.documents(data)
        self.summaries = corpora.summaries(data)
        self.data = data
        self.read = {doc.text: read([doc.text]).sentences for doc in self.docs}
        self.by_title: dict[str, list[Doc]] = defaultdict(list)
        for doc in self.docs:
            self.by_title[doc.title if doc.source == "xquad" else doc.source].append(doc)
        self.names = {doc.text: _names(doc.text) for doc in self.docs}
        self.fever = [row for row in self.rows if row.source == "fever"]
        self._index_fever()

    def groups(self, rounds: int) -> list[Group]:
        """All groups: one pass over the labelled rows, `rounds` passes over the documents; shuffled."""
        found = list(self._fever_groups()) + list(self._nli_groups())
        for turn in range(rounds):
            found += self._document_groups(share=0.7 if turn == 0 else 0.4)
            found += self._answer_groups()
        for _ in range(SUMMARY_ROUNDS):
            found += self._summary_groups()
        self.rng.shuffle(found)
        return found

    def _premise(self, sentences: Sequence[Sentence], claim: str, budget: int | None = None) -> str:
        budget = budget or self.rng.choice([40, 60, 80, 90, 90, 100])
        return join(select(sentences, terms(claim), budget))

    def _dress(self, claim: Claim) -> Claim:
        text, shift = edits.dressed(claim.text, self.rng)
        spans = None if claim.spans is None else tuple((a + shift, b + shift) for a, b in claim.spans)
        return Claim(text, claim.label, spans, claim.kind)

    def _false(
        self, text: str, premise: str, pool: Sequence[str], donors: Sequence[str], n: int
    ) -> list[Claim]:
        rng = self.rng
        makers: list[tuple[float, Callable[[], edits.Edit | None]]] = [
            (1.2, lambda: edits.number(text, rng, premise)),
            (1.6, lambda: edits.entity(text, rng, pool)),
            (1.8, lambda: edits.opposite(text, rng)),
            (0.7, lambda: edits.scope(text, rng)),
            (1.0, lambda: edits.negation(text, rng)),
            (1.5, lambda: edits.roles(text, rng)),
            (0.5, lambda: edits.phrases(text, rng)),
            (1.4, lambda: edits.other_word(text, rng, self.neighbours, premise)),
            (1.3, lambda: edits.added_detail(text, rng, donors)),
            (0.6, lambda: edits.swapped_tail(text, rng, donors)),
        ]
        found: dict[str, Claim] = {}
        for _ in range(3 * n):
            if len(found) >= n:
                break
            weights = [w for w, _ in makers]
            pick = rng.choices(range(len(makers)), weights)[0]
            edit = makers.pop(pick)[1]()
            if edit is not None and edit.text != text and edit.text not in found:
                found[edit.text] = Claim(edit.text, 0, edit.spans, edit.kind)
            if not makers:
                break
        return list(found.values())

    def _true_twin(self, text: str) -> list[Claim]:
        """Now and then the sentence in other words, so that a changed word alone proves nothing."""
        twin = edits.same(text, self.rng).text if self.rng.random() < 0.4 else text
        return [] if twin == text else [Claim(twin, 1, (), "twin")]

    def _index_fever(self) -> None:
        self.fever_sentences: list[Sentence] = []
        seen = set()
        for row in self.fever:
            if row.premise not in seen:
                seen.add(row.premise)
                self.fever_sentences += read([row.premise]).sentences
        self.postings: dict[str, list[int]] = defaultdict(list)
        for i, sentence in enumerate(self.fever_sentences):
            for stem in sentence.stems:
                self.postings[stem].append(i)
        self.fever_names = _names(" . ".join(row.claim for row in self.fever))

    def _distractors(self, claim: str, gold: str, n: int) -> list[Sentence]:
        stems = sorted({t.stem for t in terms(claim)}, key=lambda s: (-rarity(s), s))[:4]
        scores: dict[int, float] = defaultdict(float)
        for stem in stems:
            for i in self.postings.get(stem, ())[:400]:
                scores[i] += rarity(stem)
        ranked = sorted(scores, key=lambda i: (-scores[i], i))
        return [s for i in ranked[: 4 * n] if (s := self.fever_sentences[i]).text not in gold][:n]

    def _fever_groups(self) -> Iterator[Group]:
        by_premise: dict[str, list[Row]] = defaultdict(list)
        for row in self.fever:
            by_premise[row.premise].append(row)
        for premise, all_rows in by_premise.items():
            if self.rng.random() > (0.7 if len(all_rows) == 1 else 1.0):
                continue
            rows = self.rng.sample(all_rows, min(len(all_rows), 5))
            main = rows[0]
            gold = list(read([premise]).sentences)
            extra = self._distractors(main.claim, premise, self.rng.choice([0, 1, 2, 3]))
            mixed = _mix(gold, extra, self.rng)
            claims = [Claim(r.claim, r.label, () if r.label else None, f"fever{r.label}") for r in rows]
            true = [r for r in rows if r.label]
            if true:
                pool = self.rng.sample(self.fever_names, 60) + _names(premise)
                donors = [s.text for s in extra] + [s.text for s in self.rng.sample(self.fever_sentences, 4)]
                base = self.rng.choice(true).claim
                claims += self._true_twin(base) + self._false(
                    base, premise, pool, donors, self.rng.choice([2, 3])
                )
                if self.rng.random() < 0.3:
                    target = self.rng.choice(gold).text
                    claims.append(Claim(edits.same(target, self.rng).text, 1, (), "sentence"))
                    claims += self._false(target, premise, pool, donors, 1)
            yield Group(join(mixed), tuple(map(self._dress, claims)), "fever")
            if true and self.rng.random() < 0.5:
                others = self._distractors(true[0].claim, premise, self.rng.choice([2, 3, 4]))
                if others:
                    stay = self.rng.choice(others).text
                    yield Group(
                        join(others),
                        tuple(
                            map(
                                self._dress,
                                [
                                    Claim(true[0].claim, 0, None, "removed"),
                                    Claim(edits.same(stay, self.rng).text, 1, (), "sentence"),
                                ],
                            )
                        ),
                        "fever",
                    )

    def _nli_groups(self) -> Iterator[Group]:
        rows = [row for row in self.rows if row.source != "fever"]
        by_premise: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row.source != "snli" or self.rng.random() < 0.5:
                by_premise[row.premise].append(row)
        keys = list(by_premise)
        for key in keys:
            premise, own = key, by_premise[key]
            claims = [Claim(r.claim, r.label, () if r.label else None, f"{r.source}{r.label}") for r in own]
            if self.rng.random() < 0.5:
                others = self.rng.sample(keys, self.rng.choice([1, 1, 2, 3]))
                spot = self.rng.randrange(len(others) + 1)
                premise = " ".join([*others[:spot], premise, *others[spot:]])
            true = [r for r in own if r.label]
            if true and self.rng.random() < 0.8:
                base = self.rng.choice(true).claim
                pool = self.rng.sample(self.fever_names, 40) + _names(premise)
                donors = self.rng.sample(keys, 4)
                claims += self._true_twin(base) + self._false(base, premise, pool, donors, 2)
            yield Group(premise, tuple(map(self._dress, claims)), own[0].source)

    def _relatives(self, doc: Doc) -> list[Doc]:
        key = doc.title if doc.source == "xquad" else doc.source
        return [d for d in self.by_title[key] if d.text != doc.text]

    def _pools(self, doc: Doc) -> tuple[list[str], list[str]]:
        """Names and donor sentences from related documents and from this one."""
        relatives = self._relatives(doc)
        near = self.rng.sample(relatives, min(3, len(relatives)))
        pool = [name for d in near for name in self.names[d.text]] + self.names[doc.text] * 2
        donors = [s.text for d in near for s in self.read[d.text]]
        return pool, self.rng.sample(donors, min(12, len(donors)))

    def _document_groups(self, share: float) -> list[Group]:
        found = []
        rng = self.rng
        for doc in self.docs:
            sentences = self.read[doc.text]
            keep = 18 if doc.source.startswith("summedits") else 12
            spots = [i for i, s in enumerate(sentences) if 5 <= s.words <= 60]
            for i in rng.sample(spots, min(len(spots), int(keep * share))):
                found += self._sentence_groups(doc, sentences, i)
        return found

    def _sentence_groups(self, doc: Doc, sentences: list[Sentence], i: int) -> Iterator[Group]:
        rng = self.rng
        text = sentences[i].text
        pool, donors = self._pools(doc)
        premise = self._premise(sentences, text)
        claims = [Claim(edits.same(text, rng).text, 1, (), "sentence")]
        if rng.random() < 0.35:
            partner = rng.choice(sentences)
            if partner.text in premise and partner.text != text and partner.words < 30:
                body = text.rstrip(".!? ")
                tail = edits.same(partner.text, rng).text
                joint = rng.choice([f"{body}, and {tail}", f"{body}; {tail}", f"{body}. {tail}"])
                claims.append(Claim(joint, 1, (), "joint"))
        base = rng.choice(claims).text
        claims += self._false(base, premise, pool, donors, rng.choice([2, 3, 4]))
        yield Group(premise, tuple(map(self._dress, claims)), doc.source)
        if rng.random() < 0.6:
            rest = [s for s in sentences if s.text != text]
            if rest and rng.random() < 0.7:
                away = self._premise(rest, text)
            else:
                relatives = self._relatives(doc)
                away = self._premise(self.read[rng.choice(relatives).text], text) if relatives else ""
            if away:
                stays = [s for s in read([away]).sentences if s.words >= 5] or read([away]).sentences
                stay = rng.choice(stays).text
                removed = [
                    Claim(edits.same(text, rng).text, 0, None, "removed"),
                    Claim(edits.same(stay, rng).text, 1, (), "sentence"),
                    *self._false(stay, away, pool, donors, 1),
                ]
                yield Group(away, tuple(map(self._dress, removed)), doc.source)

    def _summary_groups(self) -> list[Group]:
        by_document: dict[str, list[Row]] = defaultdict(list)
        for row in self.summaries:
            by_document[row.premise].append(row)
        docs = {doc.text: doc for doc in self.docs}
        found = []
        rng = self.rng
        for text, all_rows in by_document.items():
            doc, sentences = docs[text], self.read[text]
            rows = list(all_rows)
            rng.shuffle(rows)
            clusters = _clusters(rows)
            for cluster in clusters:
                true = [r for r in cluster if r.label]
                false = [r for r in cluster if not r.label]
                premise = self._premise(sentences, cluster[0].claim, rng.choice([80, 100, 120]))
                claims = [
                    Claim(r.claim, r.label, r.spans, f"summary{r.label}")
                    for r in rng.sample(true, min(4, len(true))) + rng.sample(false, min(6, len(false)))
                ]
                pool, donors = self._pools(doc)
                if true:
                    base = rng.choice(true).claim
                    claims += self._true_twin(base) + self._false(base, premise, pool, donors, 2)
                found.append(Group(premise, tuple(map(self._dress, claims)), doc.source))
                if true and rng.random() < 0.4:
                    found.append(self._bare(true[0].claim, sentences, doc))
        return found

    def _bare(self, claim: str, sentences: list[Sentence], doc: Doc) -> Group:
        """A true claim whose best sentences were taken away, or that meets a related document."""
        rng = self.rng
        best = {s.start for s in select(sentences, terms(claim), 120)}
        rest = [s for s in sentences if s.start not in best]
        relatives = self._relatives(doc)
        if (not rest or rng.random() < 0.4) and relatives:
            rest = self.read[rng.choice(relatives).text]
        premise = self._premise(rest or sentences[:1], claim)
        stay = rng.choice(read([premise]).sentences).text
        claims = (Claim(claim, 0, None, "removed"), Claim(edits.same(stay, rng).text, 1, (), "sentence"))
        return Group(premise, tuple(map(self._dress, claims)), doc.source)

    def _answer_groups(self) -> list[Group]:
        found = []
        rng = self.rng
        for name in ("clapnq", "xquad"):
            texts = {
                row["id"]: corpora.untokenise(row["text"]) if name == "clapnq" else row["text"]
                for row in corpora.lines(self.data / "qa" / name / "documents.jsonl.gz")
            }
            docs = {doc.text: doc for doc in self.docs}
            answers: dict[str, list[str]] = defaultdict(list)
            cases = [c for c in corpora.lines(self.data / "qa" / name / "cases.jsonl.gz") if c["answerable"]]
            for case in cases:
                answers[case["evidence"][0]["document"]].append(case["answer"])
            for case in cases:
                document = case["evidence"][0]["document"]
                doc = docs[texts[document]]
                sentences = self.read[doc.text]
                if name == "clapnq":
                    spoken = corpora.sentences(corpora.untokenise(case["answer"]))
                    wrong: list[str] = []
                else:
                    spoken = [statement(case["question"], case["answer"])]
                    others = [a for a in answers[document] if not _alike(a, case["answer"])]
                    wrong = [statement(case["question"], a) for a in rng.sample(others, min(2, len(others)))]
                for claim in spoken:
                    if len(claim.split()) < 4:
                        continue
                    premise = self._premise(sentences, claim + " " + case["answer"])
                    pool, donors = self._pools(doc)
                    claims = [Claim(claim, 1, (), "answer")]
                    claims += [Claim(w, 0, corpora.changed_spans(claim, w), "wrong_answer") for w in wrong]
                    claims += self._false(claim, premise, pool, donors, 3 - len(wrong))
                    found.append(Group(premise, tuple(map(self._dress, claims)), doc.source))
                    if rng.random() < 0.6:
                        found.append(self._bare(claim, sentences, doc))
        return found


def join(sentences: Sequence[Sentence]) -> str:
    """The text the network reads: chosen sentences in order."""
    return " ".join(" ".join(s.text.split()) for s in sentences)


def statement(question: str, answer: str) -> str:
    """A question and its answer as one statement where a simple rule allows it, else `question? answer`."""
    body = question.strip().rstrip("?").strip()
    match = re.match(r"(?i)^(?:what|who|which)\s+(is|are|was|were)\s+((?:the|a|an|another)\s.+)$", body)
    if match:
        return f"{match[2][:1].upper()}{match[2][1:]} {match[1]} {answer}."
    match = re.match(r"(?i)^who\s+((?!is\b|are\b|was\b|were\b|did\b|does\b|do\b|has\b|have\b)\w+\s.+)$", body)
    if match:
        return f"{answer} {match[1]}."
    match = re.match(
        r"(?i)^(?:what|which)\s+((?:\w+\s){1,3}?)(won|has|had|was|were|is|are|can|caused|made|led|helped)\s+(.+)$",
        body,
    )
    if match:
        return f"{answer} {match[2]} {match[3]}."
    match = re.match(
        r"(?i)^(when|in what year|in which year|where)\s+(was|were|is|are)\s+(.+?)\s+"
        r"(\w+(?:ed|en|ade|old|uilt|ound|eld|orn))$",
        body,
    )
    if match:
        lead = "" if re.match(r"(?i)^(in|on|at|by|from|during)\b", answer) else "in "
        return f"{match[3][:1].upper()}{match[3][1:]} {match[2]} {match[4]} {lead}{answer}."
    return f"{body}? {answer}" if len(body) % 2 else f"{body}: {answer}."


def _alike(a: str, b: str) -> bool:
    a, b = a.lower(), b.lower()
    return a in b or b in a


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(text[a:b] for a, b in edits.names(text) if len(text[a:b]) < 40))


def _mix(gold: list[Sentence], extra: list[Sentence], rng: random.Random) -> list[Sentence]:
    mixed = list(gold)
    for sentence in extra:
        mixed.insert(rng.choice([0, len(mixed)]), sentence)
    words = 0
    kept = []
    for sentence in mixed:
        words += sentence.words
        if words <= 130 or sentence in gold:
            kept.append(sentence)
    return kept


def _clusters(rows: list[Row]) -> list[list[Row]]:
    """Sentences that are versions of one another: more than half of their stems in common."""
    clusters: list[tuple[set[str], list[Row]]] = []
    for row in rows:
        stems = {t.stem for t in terms(row.claim)}
        for seed, members in clusters:
            if len(seed & stems) > 0.55 * max(len(seed | stems), 1):
                members.append(row)
                break
        else:
            clusters.append((stems, [row]))
    return [members for _, members in clusters]
