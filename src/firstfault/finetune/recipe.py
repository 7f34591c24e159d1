"""The recipe: how many examples, how large a model in; every value of the training, with its origin, out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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

    learning_rate: float
    epochs: int
    batch_size: int
    rank: int
    alpha: int
    dropout: float
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
EPOCHS = ((50, 10), (200, 4), (2_000, 2), (10**12, 1))
"""Examples up to → epochs; the best measurement counts, so more are a bound and no aim."""
MEASUREMENTS = 10
"""Of the losses in one training, about."""


def choose(
    *, examples: int, parameters: int, lengths: Sequence[int], given: Mapping[str, Value] | None = None
) -> Recipe:
    """A recipe for so many examples of these lengths (in tokens) and a model of so many parameters.

    `given` overrides values by name.

    Raises:
        InputError: a name is unknown, or a value cannot be used.
    """
    given = dict(given or {})
    chosen: dict[str, tuple[Value, str]] = {}
    rate = next(rate for most, rate in LORA_RATES if parameters <= most)
    size = f"{parameters / 1e6:,.0f}M parameters"
    chosen["learning_rate"] = (rate, f"LoRA on {size}; training all weights would take a tenth of it")
    epochs = next(epochs for most, epochs in EPOCHS if examples <= most)
    chosen["epochs"] = (epochs, f"for {examples:,} examples, at most: the best measurement counts")
    batch = 8 if examples >= 64 else max(1, min(4, examples))
    chosen["batch_size"] = (
        int(batch),
        "small data need many steps" if batch < 8 else "enough for a calm gradient",
    )
    rank = int(given.get("rank", 16))
    chosen["rank"] = (16, "form and tone need few dimensions")
    chosen["alpha"] = (2 * rank, "twice the rank, so that the rate keeps its meaning")
    chosen["dropout"] = (0.05, "a little noise against learning by heart")
    chosen["warmup"] = (0.05, "the first steps of Adam know no scale")
    chosen["clip"] = (1.0, "one odd batch cannot throw the weights")
    longest = max(lengths, default=64)
    chosen["longest"] = (min(longest, 2048), f"the longest example has {longest:,} tokens")
    chosen["replay"] = (0.15, "general examples among the others keep what the model could do")
    chosen["kl"] = (0.0, "off: it doubles the cost; replay is cheaper")
    n = examples / (1 - float(given.get("replay", 0.15)))
    steps = max(1, round(n / int(given.get("batch_size", batch)))) * int(given.get("epochs", epochs))
    chosen["checks"] = (
        max(2, round(steps / MEASUREMENTS)),
        f"about {MEASUREMENTS} measurements in {steps:,} steps",
    )
    chosen["patience"] = (3, "measurements without progress, then it ends")
    chosen["seed"] = (0, "the same data give the same adapter")
    unknown = set(given) - set(chosen)
    if unknown:
        raise InputError(f"A recipe has no '{sorted(unknown)[0]}'.", hint=f"It has: {', '.join(chosen)}.")
    settings = []
    for name, (value, reason) in chosen.items():
        if name in given:
            kept = type(value)(given[name])
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
    _require_sound(values)
    return Recipe(**values, settings=tuple(settings))


def _require_sound(values: Mapping[str, Any]) -> None:
    bounds = (
        ("learning_rate", 0, 1),
        ("epochs", 1, 1000),
        ("batch_size", 1, 4096),
        ("rank", 1, 1024),
        ("dropout", 0, 0.9),
        ("replay", 0, 0.9),
        ("kl", 0, 100),
        ("longest", 8, 1_000_000),
        ("checks", 1, 1_000_000),
        ("patience", 1, 1000),
    )
    for name, low, high in bounds:
        if not low <= values[name] <= high:
            raise InputError(f"{name} = {values[name]} cannot be used.", hint=f"Give {low} to {high}.")
