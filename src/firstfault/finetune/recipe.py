"""The recipe: how many examples, how large a model in; every value of the training, with its origin, out."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from firstfault.errors import InputError

Value = int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value of a recipe."""

    name: str
    value: Value
    origin: str
    """`chosen`, or the option by which the user set it."""
    reason: str
    usual: Value
    """What would have been chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a training, beside data and model."""

    method: str = "lora"
    """`lora`: an adapter; `full`: every weight of the model."""
    learning_rate: float
    epochs: int
    batch_size: int
    rank: int = 0
    alpha: int = 0
    dropout: float = 0.0
    """Of the adapter; 0 in a full training."""
    warmup: float
    """Share of the steps in which the rate rises."""
    clip: float
    """Largest norm of the gradient."""
    longest: int
    """Tokens of a row; what is longer is cut."""
    replay: float
    """Share of general examples among all that are trained on."""
    kl: float
    """Weight of the divergence from the base model; 0 = off."""
    checks: int
    """Steps between two measurements."""
    patience: int
    """Measurements without a better validation loss after which training ends."""
    seed: int
    processes: int = 1
    """That share every batch, on a device each; results are those of one."""
    settings: tuple[Setting, ...]
    """The same values with origin and reason, for people."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def restored(document: Mapping[str, Any]) -> Recipe:
    """A recipe from its JSON."""
    settings = tuple(Setting(**one) for one in document["settings"])
    return Recipe(**{**document, "settings": settings})


LORA_RATES = ((2e10, 2e-4), (float("inf"), 1e-4))
"""Parameters up to → learning rate of an adapter."""
FULL = 0.1
"""Of an adapter's rate, when every weight learns: they move together, and an adapter begins at zero."""
SAVED = {"lora": "peft", "full": "model"}
"""Method → folder of a run that holds what was learnt."""
OF_LORA = ("rank", "alpha", "dropout")
"""Values that only an adapter has."""
EPOCHS = ((50, 10), (200, 4), (2_000, 2), (10**12, 1))
"""Examples up to → epochs; the best measurement counts, so more are a bound and no aim."""
MEASUREMENTS = 10
"""Of the losses in one training, about."""

BOUNDS = {
    "learning_rate": (0, 1),
    "epochs": (1, 1000),
    "batch_size": (1, 4096),
    "rank": (1, 1024),
    "alpha": (1, 4096),
    "dropout": (0, 0.9),
    "warmup": (0, 1),
    "clip": (1e-6, 1e12),
    "longest": (8, 1_000_000),
    "replay": (0, 0.9),
    "kl": (0, 100),
    "checks": (1, 1_000_000),
    "patience": (1, 1000),
    "seed": (0, 2**31),
    "processes": (1, 1024),
}
"""Value → least and most that can be given."""


def choose(
    *, examples: int, parameters: int, lengths: Sequence[int], given: Mapping[str, Value] | None = None
) -> Recipe:
    """A recipe for so many examples of these lengths (in tokens) and a model of so many parameters.

    `given` overrides values by name.

    Raises:
        InputError: a name is unknown, or a value cannot be used.
    """
    given = {name: _number(name, value) for name, value in (given or {}).items()}
    chosen: dict[str, tuple[Value, str]] = {}
    method = str(given.get("method", "lora"))
    if method not in SAVED:
        raise InputError(f"There is no method '{method}'.", hint="Give --set method=lora or method=full.")
    chosen["method"] = ("lora", "a small adapter; --set method=full trains every weight")
    rate = next(rate for most, rate in LORA_RATES if parameters <= most)
    size = f"{parameters / 1e6:,.0f}M parameters"
    chosen["learning_rate"] = (
        (rate, f"LoRA on {size}; training every weight would take a tenth of it")
        if method == "lora"
        else (float(f"{rate * FULL:.3g}"), f"every one of {size}; an adapter would take ten times as much")
    )
    epochs = next(epochs for most, epochs in EPOCHS if examples <= most)
    chosen["epochs"] = (epochs, f"for {examples:,} examples, at most: the best measurement counts")
    batch = 8 if examples >= 64 else max(1, min(4, examples))
    chosen["batch_size"] = (
        int(batch),
        "small data need many steps" if batch < 8 else "enough for a calm gradient",
    )
    if method == "lora":
        rank = int(given.get("rank", 16))
        chosen["rank"] = (16, "form and tone need few dimensions")
        chosen["alpha"] = (2 * rank, "twice the rank, so that the rate keeps its meaning")
        chosen["dropout"] = (0.05, "a little noise against learning by heart")
    chosen["warmup"] = (0.05, "the first steps of Adam know no scale")
    chosen["clip"] = (1.0, "one odd batch cannot throw the weights")
    longest = max(lengths, default=64)
    chosen["longest"] = (min(longest, 2048), f"the longest example has {longest:,} tokens")
    chosen["replay"] = (0.15, "general examples among the others keep what the model could do")
    more = "" if method == "lora" else " and needs the base model beside it"
    chosen["kl"] = (0.0, f"off: it doubles the cost{more}; replay is cheaper")
    n = examples / (1 - float(given.get("replay", 0.15)))
    steps = max(1, round(n / int(given.get("batch_size", batch)))) * int(given.get("epochs", epochs))
    chosen["checks"] = (
        max(2, round(steps / MEASUREMENTS)),
        f"about {MEASUREMENTS} measurements in {steps:,} steps",
    )
    chosen["patience"] = (3, "measurements without progress, then it ends")
    chosen["seed"] = (0, "the same data give the same adapter")
    chosen["processes"] = (1, "more share every batch, each on a device of its own")
    unknown = set(given) - set(chosen)
    if unknown & set(OF_LORA):
        raise InputError(
            f"{sorted(unknown & set(OF_LORA))[0]} belongs to an adapter, and method=full trains none.",
            hint="Leave it out, or leave out method=full.",
        )
    if unknown:
        raise InputError(f"A recipe has no '{sorted(unknown)[0]}'.", hint=f"It has: {', '.join(chosen)}.")
    settings = []
    for name, (value, reason) in chosen.items():
        if name in given:
            kept = type(value)(given[name])
            if isinstance(value, int) and kept != given[name]:
                raise InputError(f"{name} = {given[name]} cannot be used.", hint="Give a whole number.")
            settings.append(
                Setting(
                    name=name,
                    value=kept,
                    origin=f"--set {name}",
                    reason=f"instead of {value}: {reason}",
                    usual=value,
                )
            )
        else:
            settings.append(Setting(name=name, value=value, origin="chosen", reason=reason, usual=value))
    values: dict[str, Any] = {one.name: one.value for one in settings}
    return shared(Recipe(**values, settings=tuple(settings)), values["processes"])


def shared(recipe: Recipe, processes: int) -> Recipe:
    """A recipe whose batches are shared by so many processes.

    Raises:
        InputError: there are not as many rows in a batch.
    """
    if processes > recipe.batch_size:
        raise InputError(
            f"{processes} processes cannot share batches of {recipe.batch_size}.",
            hint="Give fewer processes, or a larger batch_size.",
        )
    return replace(recipe, processes=processes)


def _number(name: str, value: Value) -> Value:
    """A given value as a number within its bounds; `method` is a word."""
    if name == "method":
        return value
    low, high = BOUNDS.get(name, (-math.inf, math.inf))
    try:
        number = float(value)
    except ValueError as error:
        raise InputError(f"{name} = {value} is no number.", hint=f"Give {low:g} to {high:g}.") from error
    if not low <= number <= high:
        raise InputError(f"{name} = {value} cannot be used.", hint=f"Give {low:g} to {high:g}.")
    return number
