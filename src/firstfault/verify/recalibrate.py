"""A user's labelled claims in, a calibration for that corpus out, with its quality before and after."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from firstfault.errors import InputError
from firstfault.verify.calibration import Calibration, Quality, fit, quality
from firstfault.verify.local import LocalVerifier

_WORDS = {"supported": 1, "unsupported": 0, "true": 1, "false": 0, "yes": 1, "no": 0}
_FOLDS = 5
_SEED = 20240229


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A claim that somebody judged."""

    contexts: tuple[str, ...]
    claim: str
    label: int
    """1 = supported, 0 = not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """What refitting did."""

    calibration: Calibration
    """Fitted on all usable labels."""
    before: Quality
    """The calibration in force, on the same labels."""
    after: Quality
    """Five folds: every label judged by a fit that did not see it."""
    skipped: int
    """Labels whose claim is `unknown` to the verifier."""


def read_labels(path: Path) -> list[Labelled]:
    """Labelled claims from JSONL (`.jsonl`, `.jsonl.gz`): `{context: text | [texts], claim, label}`.

    `label` is 1 or 0, true or false, `supported` or `unsupported`.

    Raises:
        InputError: the file is missing, empty, or a line cannot be understood; names the line.
    """
    hint = 'Each line: {"context": "..." or ["..."], "claim": "...", "label": 1 or 0}.'
    found = []
    for number, row in _rows(path, hint):
        context, claim, label = row.get("context"), row.get("claim"), row.get("label")
        contexts = (
            (context,) if isinstance(context, str) else tuple(context) if isinstance(context, list) else ()
        )
        if isinstance(label, str):
            label = _WORDS.get(label.lower())
        if not contexts or not all(isinstance(c, str) for c in contexts) or not isinstance(claim, str):
            raise InputError(f"{path}:{number} has no context or no claim.", hint=hint)
        if label not in (0, 1):
            raise InputError(f"{path}:{number} has no label that says supported or not.", hint=hint)
        found.append(Labelled(contexts=contexts, claim=claim, label=int(label)))
    if not found:
        raise InputError(f"{path} has no labels.", hint=hint)
    return found


def _rows(path: Path, hint: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (OSError, UnicodeDecodeError, EOFError) as problem:
        raise InputError(f"{path} cannot be read: {problem}.", hint=hint) from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number} is not a JSON object.", hint=hint)
        yield number, row


def recalibrate(verifier: LocalVerifier, labels: list[Labelled], *, fitted_on: str) -> Recalibration:
    """Refit slope and intercept on labelled claims.

    Raises:
        InputError: too few usable labels, or only one kind.
    """
    scores = verifier.raw_scores([(item.contexts, item.claim) for item in labels])
    level = verifier.calibration.level
    usable = [(level(s), item.label) for s, item in zip(scores, labels, strict=True) if s is not None]
    raw, y = [s for s, _ in usable], [label for _, label in usable]
    curve = fit(raw, y, fitted_on=fitted_on)
    calibration = replace(
        verifier.calibration, slope=curve.slope, intercept=curve.intercept, fitted_on=fitted_on
    )
    order = np.random.default_rng(_SEED).permutation(len(raw))
    folds = [order[i::_FOLDS] for i in range(_FOLDS)]
    unseen = np.zeros(len(raw))
    for fold in folds:
        rest = [i for i in order if i not in set(fold.tolist())]
        part = fit([raw[i] for i in rest], [y[i] for i in rest], fitted_on="fold")
        for i in fold:
            unseen[i] = part.slope * raw[i] + part.intercept
    identity = Calibration(slope=1.0, intercept=0.0)
    return Recalibration(
        calibration=calibration,
        before=quality(verifier.calibration, raw, y),
        after=quality(identity, unseen.tolist(), y),
        skipped=len(labels) - len(usable),
    )
