"""Label errors: prompts with a few possible answers in, rows whose answer the others contradict out.

Confident learning (Northcutt, Jiang and Chuang 2021, algorithm 1) over cross-validated naive Bayes with words
and word pairs of the prompt. Where the prompt does not foretell the answer, nothing is said.
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

FOLDS = 5
MOST_LABELS = 25
"""A field with more different values is no label."""
LEAST_ROWS = 150
"""Rows below which nothing can be cross-validated."""
LEAST_PER_LABEL = 5
LEAST_LIFT = 0.35
"""How far the cross-validated accuracy must exceed that of the commonest label, as a share of what is left,
before the model is believed."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A row that is probably labelled wrongly."""

    position: int
    field: str
    """JSON key; empty = the whole answer."""
    given: str
    likely: str
    confidence: float
    """Cross-validated probability of `likely`."""


def fields(targets: Sequence[str]) -> dict[str, list[str | None]]:
    """Fields with few values: name → value by row. The whole answer is the field with the empty name."""
    found: dict[str, list[str | None]] = {}
    parsed = [_object(target) for target in targets]
    objects = sum(one is not None for one in parsed)
    if objects < 0.8 * len(targets):
        whole = [target.strip() for target in targets]
        if _is_label(whole):
            found[""] = list(whole)
        return found
    names = dict.fromkeys(name for one in parsed if one for name in one)
    for name in names:
        values = [_scalar(one.get(name)) if one else None for one in parsed]
        if _is_label([value for value in values if value is not None]):
            found[name] = values
    return found


def suspects(prompts: Sequence[str], targets: Sequence[str]) -> list[Suspect]:
    """Rows that are probably labelled wrongly, the surest first, one entry a row."""
    found: dict[int, Suspect] = {}
    bags = [_features(prompt) for prompt in prompts]
    for name, values in fields(targets).items():
        known = [position for position, value in enumerate(values) if value is not None]
        labels = {position: value for position in known if (value := values[position]) is not None}
        for one in _suspects(bags, labels, name):
            before = found.get(one.position)
            if before is None or before.confidence < one.confidence:
                found[one.position] = one
    return sorted(found.values(), key=lambda one: (-one.confidence, one.position))


def _suspects(bags: Sequence[Counter[str]], labels: Mapping[int, str], name: str) -> list[Suspect]:
    if len(labels) < LEAST_ROWS:
        return []
    predicted = _cross_validated(bags, labels)
    right = sum(max(chances, key=lambda k: (chances[k], k)) == labels[i] for i, chances in predicted.items())
    commonest = max(Counter(labels.values()).values())
    if right - commonest < LEAST_LIFT * (len(labels) - commonest):
        return []  # the prompt does not foretell this field
    own: dict[str, list[float]] = defaultdict(list)
    for position, chances in predicted.items():
        own[labels[position]].append(chances[labels[position]])
    limit = {label: sum(chances) / len(chances) for label, chances in own.items()}
    found = []
    for position, chances in sorted(predicted.items()):
        given = labels[position]
        confident = {label: chance for label, chance in chances.items() if chance >= limit[label]}
        if not confident:
            continue
        likely = max(confident, key=lambda label: (confident[label], label))
        if likely != given and chances[given] < 0.5 * limit[given] and chances[likely] > 0.6:
            found.append(
                Suspect(position=position, field=name, given=given, likely=likely, confidence=chances[likely])
            )
    return found


def _cross_validated(bags: Sequence[Counter[str]], labels: Mapping[int, str]) -> dict[int, dict[str, float]]:
    """Row → probability of every label, by a model that has not seen rows with the same words."""
    folds: dict[int, list[int]] = defaultdict(list)
    numbers: dict[Hashable, int] = {}
    for position in labels:
        folds[numbers.setdefault(frozenset(bags[position]), len(numbers)) % FOLDS].append(position)
    found: dict[int, dict[str, float]] = {}
    for held in folds.values():
        out = set(held)
        model = _Bayes([(bags[i], label) for i, label in labels.items() if i not in out])
        for position in held:
            found[position] = model.chances(bags[position], tuple(sorted(set(labels.values()))))
    return found


class _Bayes:
    """Naive Bayes over the words that are there (Bernoulli with the most telling words only)."""

    def __init__(self, rows: Sequence[tuple[Counter[str], str]]) -> None:
        self._rows = Counter(label for _, label in rows)
        self._seen: dict[str, Counter[str]] = defaultdict(Counter)
        for bag, label in rows:
            for word in bag:
                self._seen[word][label] += 1
        self._total = len(rows)

    def chances(self, bag: Counter[str], labels: tuple[str, ...]) -> dict[str, float]:
        """Probability of every label; the sum of evidence is damped, since words are not independent."""
        evidence = {
            label: math.log((self._rows[label] + 1) / (self._total + len(labels))) for label in labels
        }
        known = (
            [word for word in bag if 2 <= sum(self._seen[word].values()) <= 0.9 * self._total] if bag else []
        )
        weight = 1 / math.sqrt(max(len(known), 1))
        for word in known:
            counts = self._seen[word]
            everywhere = (sum(counts.values()) + 1) / (self._total + 2)
            for label in labels:
                share = (counts[label] + 2 * everywhere) / (self._rows[label] + 2)
                evidence[label] += 2 * weight * math.log(share / everywhere)
        highest = max(evidence.values())
        weights = {label: math.exp(value - highest) for label, value in evidence.items()}
        total = sum(weights.values())
        return {label: value / total for label, value in weights.items()}


def _features(text: str) -> Counter[str]:
    words = _WORD.findall(text.lower())
    return Counter([*words, *(f"{a} {b}" for a, b in pairwise(words))])


def _is_label(values: Sequence[str]) -> bool:
    counts = Counter(values)
    shown = sum(count for count in counts.values() if count >= LEAST_PER_LABEL)
    return 2 <= len(counts) <= MOST_LABELS and shown >= 0.9 * len(values)


def _object(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _scalar(value: object) -> str | None:
    return None if isinstance(value, dict | list) or value is None else json.dumps(value)
