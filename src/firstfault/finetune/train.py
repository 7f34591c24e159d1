"""Training: rows and a recipe in; what the best measurement learnt, with its curves and alarms, out.

The loop is plain torch, so that a killed run goes on exactly where its last checkpoint was: weights,
optimizer, random state, and everything that was measured are in one file that is replaced at once.
"""

import math
import os
import random
import shutil
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstfault.errors import InputError
from firstfault.finetune import abilities, doctor, guards, processes
from firstfault.finetune.base import Base, load_model, load_tokenizer, open_base
from firstfault.finetune.data import Dataset, Row, digest
from firstfault.finetune.extra import load
from firstfault.finetune.guards import Alarm, Point
from firstfault.finetune.recipe import SAVED, Recipe, Value, choose
from firstfault.finetune.tokens import Encoded, batch, encode, greedy, losses
from firstfault.models.threads import default_threads
from firstfault.types import Verdict

if TYPE_CHECKING:
    from firstfault.finetune.group import Group
    from firstfault.structured.schema import Schema

PROBE_ROWS = 48
"""Rows of the fixed training probe, and at most of validation, at each measurement."""
SAMPLES = 3
"""Outputs that are generated and validated at each measurement."""
TOKENS_AT_ONCE = 1536
"""Of one forward pass, padding included; larger batches are taken in parts."""
LIBRARIES = 700_000_000
"""Bytes that Python, torch and transformers take by themselves (0.4 GB), and that freed memory keeps."""
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one process of a training has to do."""

    rank: int
    """From 0, the main one: it measures, saves and records."""
    device: str
    device_bytes: int | None
    """Memory of the device; None on a CPU, whose memory is everybody's."""
    threads: int
    """For what is computed on the CPU."""
    rows: int
    """Of every batch, at most."""
    memory_bytes: int
    """As of an `Estimate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a training will cost, measured on one real step."""

    steps: int
    seconds_a_step: float
    seconds: float
    """In all, measurements included."""
    memory_bytes: int
    """Weights, adapter, optimizer and activations, at most; of several processes, of that with most."""
    device: str
    """Of the main process."""
    processes: tuple[Share, ...]
    """By rank; one, unless the recipe asks for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A training that could start."""

    base: Base
    recipe: Recipe
    training: tuple[Row, ...]
    validation: tuple[Row, ...]
    replay: tuple[Row, ...]
    dropped: int
    """Rows with nothing to learn once they are cut."""
    schema: "Schema | None" = None
    template: str | None = None
    """A chat template that replaces the model's own; None = its own."""
    check: tuple[Verdict, ...] = ()
    """What the dataset doctor said."""

    def document(self) -> dict[str, Any]:
        """What a run records about it."""
        return {
            "base": {"name": self.base.name, "digest": self.base.digest},
            "recipe": self.recipe.document(),
            "data": {
                "training": len(self.training),
                "validation": len(self.validation),
                "replay": len(self.replay),
                "dropped": self.dropped,
                "digest": digest((*self.training, *self.validation)),
            },
            "schema": dict(self.schema.document) if self.schema else None,
            "template": self.template,
            "check": [asdict(verdict) for verdict in self.check],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a training is."""

    step: int
    steps: int
    loss: float | None
    """Of the last batch, in training mode."""
    point: Point | None = None
    """Where something was measured."""
    alarm: Alarm | None = None


Listener = Callable[[Progress], None]


@dataclass(slots=True, kw_only=True)
class _State:
    """Everything that a checkpoint holds beside weights and optimizer."""

    step: int = 0
    points: list[Point] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    best: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of a training."""

    status: str
    """`trained`, or `stopped` when a guard ended it with an alarm."""
    points: tuple[Point, ...]
    alarms: tuple[Alarm, ...]
    best: Point | None
    seconds: float
    folder: Path
    """What was learnt, as transformers load it: `peft/`, or `model/` of a full training."""


def plan(
    rows: Sequence[Row],
    validation: Sequence[Row],
    *,
    model: str,
    home: Path,
    given: Mapping[str, Value] | None = None,
    replay: Sequence[Row] | None = None,
    schema: "Schema | None" = None,
    template: str | None = None,
    checked: Callable[[Sequence[Verdict]], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Choose a recipe and tokenise once, so that what cannot be learnt from is known before anything starts.

    `replay` are general examples; without any, the base model's own answers are used. `checked` hears the
    verdicts on the data before those are made, which takes minutes, and may raise.

    Raises:
        InputError: there is nothing to learn from, or a value of the recipe cannot be used.
        MissingError: the extra or the model is missing.
    """
    from firstfault.finetune.replay import replay_rows

    base = open_base(model, home)
    tokenizer = open_tokenizer(base, template)
    encoded = [encode(tokenizer, row, longest=1 << 30) for row in rows]
    config = load("transformers").AutoConfig.from_pretrained(base.folder)
    recipe = choose(
        examples=len(rows),
        parameters=_parameters(config),
        lengths=[len(one.ids) for one in encoded],
        given=processes.counted(given or {}),
    )
    processes.require(recipe.processes)
    kept = [
        row
        for row, one in zip(rows, encoded, strict=True)
        if row.target.strip() and encode_cut(one, recipe.longest) > 0
    ]
    if not kept or not validation:
        what = "no example has anything to learn" if not kept else "nothing is held out for validation"
        raise InputError(f"There is nothing to train: {what}.", hint="See: firstfault finetune check DATA")
    check = _checked(rows, validation, schema, recipe.longest)
    if checked:
        checked(check)
    general: Sequence[Row] = ()
    if recipe.replay > 0:
        general = replay_rows(base, home, progress=progress) if replay is None else replay
    return Plan(
        base=base,
        recipe=recipe,
        check=check,
        training=tuple(kept),
        validation=tuple(validation),
        replay=mixed(general, len(kept), recipe),
        dropped=len(rows) - len(kept),
        schema=schema,
        template=template,
    )


def _checked(
    rows: Sequence[Row], validation: Sequence[Row], schema: "Schema | None", longest: int
) -> tuple[Verdict, ...]:
    given = doctor.Given(validation=_dataset(validation), schema=schema, context_window=max(longest, 2048))
    return tuple(check.verdict for check in doctor.check(_dataset(rows), given).checks)


def _dataset(rows: Sequence[Row]) -> Dataset:
    return Dataset(path=Path("data"), rows=tuple(rows), unreadable=(), layouts={})


def encode_cut(one: Encoded, longest: int) -> int:
    """How many tokens are learnt of a row that is cut at `longest`."""
    return max(0, min(len(one.ids), longest) - (len(one.ids) - one.learnt))


def mixed(general: Sequence[Row], examples: int, recipe: Recipe) -> tuple[Row, ...]:
    """The replay beside so many examples: general rows, each as often as any other, give or take one."""
    number = round(examples * recipe.replay / (1 - recipe.replay))
    order = list(general)
    random.Random(recipe.seed).shuffle(order)
    return tuple(order[i % len(order)] for i in range(number)) if order else ()


def open_tokenizer(base: Base, template: str | None) -> Any:
    """The base model's tokenizer, with another chat template where one is given."""
    tokenizer = load_tokenizer(base)
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer


def _parameters(config: Any) -> int:
    """Parameters of a decoder of the usual kind, from its configuration; near enough to choose a rate."""
    hidden, layers = config.hidden_size, config.num_hidden_layers
    heads, kv = config.num_attention_heads, getattr(config, "num_key_value_heads", config.num_attention_heads)
    attention = hidden * hidden * (2 + 2 * kv / heads)
    mlp = 3 * hidden * config.intermediate_size
    embeddings = config.vocab_size * hidden * (1 if config.tie_word_embeddings else 2)
    return int(layers * (attention + mlp) + embeddings)


class Trainer:
    """One training. Open it, ask for an estimate, then `run`.

    With a `group` it is one of several, and all of them are asked the same; only the main one writes.
    """

    def __init__(self, made: Plan, folder: Path, group: "Group | None" = None) -> None:
        self.plan, self.folder, self._group = made, folder, group
        self.torch, self.peft = load("torch"), load("peft")
        if "OMP_NUM_THREADS" not in os.environ:
            self.torch.set_num_threads(default_threads())
        self.torch.manual_seed(made.recipe.seed)
        self.tokenizer = open_tokenizer(made.base, made.template)
        self.model = self._adapted()
        recipe = made.recipe
        self._rows = [
            encode(self.tokenizer, row, longest=recipe.longest) for row in (*made.training, *made.replay)
        ]
        self._held = [
            one
            for row in made.validation
            if (one := encode(self.tokenizer, row, longest=recipe.longest)).learnt
        ][:PROBE_ROWS]
        probed = random.Random(recipe.seed).sample(
            range(len(made.training)), min(PROBE_ROWS, len(made.training))
        )
        self._probe = [self._rows[i] for i in sorted(probed)]
        self._probe_items = abilities.probe()
        self.batches = math.ceil(len(self._rows) / recipe.batch_size)
        self.steps = self.batches * recipe.epochs
        self._shape = doctor.taught(made.training)
        self._trained = [p for p in self.model.parameters() if p.requires_grad]
        if group:
            group.align(self._trained)
        self._reference = load_model(made.base) if recipe.kl and recipe.method == "full" else None
        self._optimizer = self.torch.optim.AdamW(
            self._trained, lr=recipe.learning_rate, weight_decay=0.0, foreach=False
        )

    @property
    def config(self) -> Any:
        """Of the base model, as transformers have it."""
        return self.model.config

    def close(self) -> None:
        """Nothing is left to end: it trains in this process. See `processes.Several`."""

    def _adapted(self) -> Any:
        model = load_model(self.plan.base)
        recipe = self.plan.recipe
        if recipe.method == "full":
            return model.float()  # a step of full training is too small for the grid of bfloat16
        names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
        config = self.peft.LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules=[name for name in TARGETS if name in names] or "all-linear",
            task_type="CAUSAL_LM",
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
            return self.peft.get_peft_model(model, config)

    def estimate(self) -> Estimate:
        """Time one forward and backward pass over the widest batch; nothing is learnt from it."""
        size = self.plan.recipe.batch_size
        widest = sorted(self._rows, key=lambda row: -len(row.ids))[:size]
        began = time.perf_counter()
        self.model.train()
        state = self.torch.get_rng_state()
        self._backward(widest)
        self._optimizer.zero_grad(set_to_none=True)
        self.torch.set_rng_state(state)
        widest_s = time.perf_counter() - began
        usual = statistics.fmean(len(row.ids) for row in self._rows) / max(len(row.ids) for row in self._rows)
        each = widest_s * (0.5 + 0.5 * usual)
        measurements = self.steps / self.plan.recipe.checks + 1
        rank, ranks = (self._group.rank, self._group.size) if self._group else (0, 1)
        own = len(range(rank, size, ranks))  # and nobody shares the measurements
        measuring = measurements * each * (len(self._probe) + len(self._held) + 30) / (3 * own)
        held = [self.model, *([] if self._reference is None else [self._reference])]
        parameters = sum(p.numel() * p.element_size() for model in held for p in model.parameters())
        adapter = sum(p.numel() for p in self._trained)
        tokens = min(TOKENS_AT_ONCE, own * len(widest[0].ids))
        config = self.model.config
        logits = 3 * 4 * TOKENS_AT_ONCE * config.vocab_size  # a measurement reads so many at once
        activations = (
            4 * tokens * config.num_hidden_layers * (14 * config.hidden_size + 4 * config.intermediate_size)
        )
        device = self.model.device
        libraries = LIBRARIES if device.type == "cpu" else 0
        memory = libraries + parameters + 12 * adapter + logits + activations
        gpu = self.torch.cuda.get_device_properties(device) if device.type == "cuda" else None
        share = Share(
            rank=rank,
            device=str(device),
            device_bytes=gpu.total_memory if gpu else None,
            threads=self.torch.get_num_threads(),
            rows=own,
            memory_bytes=memory,
        )
        return Estimate(
            steps=self.steps,
            seconds_a_step=round(each, 3),
            seconds=round(self.steps * each + measuring, 1),
            memory_bytes=memory,
            device=str(device),
            processes=(share,),
        )

    def run(
        self,
        listen: Listener | None = None,
        keep: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Trained:
        """Train to the end, or on from the last checkpoint. `keep` is given what was measured so far.

        Raises:
            StorageError: the disk refused a checkpoint.
        """
        recipe = self.plan.recipe
        state = self._restored()
        if self._group:
            self._group.wait()  # the main one writes the next checkpoint when all have read this one
        tell = listen or (lambda _: None)
        began = time.perf_counter() - state.seconds
        status = "trained"
        if not state.points:
            self._measure(state, tell, keep, began)
        stopping = self._stopping(state)
        while state.step < self.steps and not stopping:
            loss, norm = self._step(state.step)
            state.step += 1
            if not math.isfinite(loss) or not math.isfinite(norm):
                state.alarms.append(guards.not_finite(state.step))
                tell(Progress(step=state.step, steps=self.steps, loss=None, alarm=state.alarms[-1]))
                break
            if (odd := guards.gradient(state.step, norm, state.norms)) is not None:
                state.alarms.append(odd)
                tell(Progress(step=state.step, steps=self.steps, loss=loss, alarm=odd))
            state.norms.append(norm)
            tell(Progress(step=state.step, steps=self.steps, loss=loss))
            if state.step % recipe.checks == 0 or state.step == self.steps:
                self._measure(state, tell, keep, began)
                stopping = self._stopping(state)
        if any(alarm.stops and alarm.verdict.status == "fail" for alarm in state.alarms):
            status = "stopped"
        final = self.folder / SAVED[recipe.method]
        if self._writes:
            self._finish(state, final)
        state.seconds = time.perf_counter() - began
        lowest = next((point for point in state.points if point.step == state.best), None)
        return Trained(
            status=status,
            points=tuple(state.points),
            alarms=tuple(state.alarms),
            best=lowest,
            seconds=round(state.seconds, 1),
            folder=final,
        )

    def _finish(self, state: _State, final: Path) -> None:
        if state.best is not None:
            shutil.rmtree(final, ignore_errors=True)
            shutil.copytree(self.folder / f"best-{state.best}", final)
        else:  # no measurement beat the base model: what there is last is kept to be looked at
            self._save(final)

    @property
    def _writes(self) -> bool:
        """Whether this process measures, saves and records."""
        return self._group is None or self._group.main

    def _mine(self, rows: Sequence[Encoded]) -> Sequence[Encoded]:
        """The rows of a batch that this process computes."""
        return self._group.share(rows) if self._group else rows

    def _stopping(self, state: _State) -> bool:
        stops = any(alarm.stops for alarm in state.alarms)
        return self._group.decided(stops) if self._group else stops

    def _order(self, epoch: int) -> list[int]:
        order = list(range(len(self._rows)))
        random.Random(f"{self.plan.recipe.seed} {epoch}").shuffle(order)
        return order

    def _step(self, step: int) -> tuple[float, float]:
        """One update; returns the loss in training mode, and the norm of the gradient before clipping."""
        recipe = self.plan.recipe
        if self._group:
            self._group.draw(recipe.seed, step)
        epoch, number = divmod(step, self.batches)
        chosen = self._order(epoch)[number * recipe.batch_size : (number + 1) * recipe.batch_size]
        self.model.train()
        rate = recipe.learning_rate * self._schedule(step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = self._backward([self._rows[i] for i in chosen])
        norm = float(self.torch.nn.utils.clip_grad_norm_(self._trained, recipe.clip))
        if math.isfinite(loss) and math.isfinite(norm):
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss, norm

    def _schedule(self, step: int) -> float:
        """Linear rise, then a cosine down to a tenth."""
        warm = max(1, round(self.plan.recipe.warmup * self.steps))
        if step < warm:
            return (step + 1) / warm
        share = (step - warm) / max(1, self.steps - warm)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * share))

    def _backward(self, rows: Sequence[Encoded]) -> float:
        """Gradients and loss of a batch; each of several processes computes its rows, and has the sum."""
        total = max(1, sum(row.learnt for row in rows))
        summed = 0.0
        for part in _parts(self._mine(rows)):
            inputs = batch(part, self.tokenizer.pad_token_id or 0, self.torch, self.model.device)
            each, _ = losses(self.model, inputs, self.torch)
            loss = each.sum() / total
            summed += float(loss.detach())
            if self.plan.recipe.kl:
                loss = loss + self.plan.recipe.kl * self._divergence(inputs) * (
                    sum(row.learnt for row in part) / total
                )
            loss.backward()
        if self._group:
            self._group.add_gradients(self._trained)
            summed = self._group.total(summed)
        return summed

    def _divergence(self, inputs: Mapping[str, Any]) -> Any:
        """Mean KL(base || tuned) over the learnt tokens, in nats (Kullback and Leibler 1951)."""
        torch = self.torch
        wanted = inputs["labels"][:, 1:] != -100
        given = {
            "input_ids": inputs["input_ids"],
            "attention_mask": inputs["attention_mask"],
            "use_cache": False,
        }
        with torch.no_grad(), self._untuned() as untuned:
            base = torch.log_softmax(untuned(**given).logits[:, :-1][wanted].float(), dim=-1)
        tuned = torch.log_softmax(self.model(**given).logits[:, :-1][wanted].float(), dim=-1)
        return torch.nn.functional.kl_div(tuned, base, log_target=True, reduction="batchmean")

    @contextmanager
    def _untuned(self) -> Iterator[Any]:
        """The base model: the adapter switched off, or the weights that were kept."""
        if self._reference is not None:
            yield self._reference
            return
        with self.model.disable_adapter():
            yield self.model

    def _mean_loss(self, rows: Sequence[Encoded]) -> float:
        """Nats a learnt token, in evaluation mode: the same measure for training and validation."""
        summed, count = 0.0, 0
        self.model.eval()
        with self.torch.inference_mode():
            for part in _parts(sorted(rows, key=lambda row: -len(row.ids))):
                inputs = batch(part, self.tokenizer.pad_token_id or 0, self.torch, self.model.device)
                each, counts = losses(self.model, inputs, self.torch)
                summed += float(each.sum())
                count += int(counts.sum())
        return summed / max(count, 1)

    def _measure(
        self,
        state: _State,
        tell: Listener,
        keep: Callable[[Mapping[str, Any]], None] | None,
        began: float,
    ) -> None:
        if not self._writes:
            return
        recent = state.norms[-self.plan.recipe.checks :]
        point = Point(
            step=state.step,
            epoch=round(state.step / self.batches, 3),
            train_loss=self._mean_loss(self._probe),
            validation_loss=self._mean_loss(self._held),
            abilities=abilities.means(
                self._probe_items, abilities.score(self.model, self.tokenizer, self._probe_items)
            ),
            valid_share=self._valid_share(),
            gradient_norm=round(statistics.median(recent), 4) if recent else None,
        )
        state.points.append(point)
        alarms = guards.judge(state.points, patience=self.plan.recipe.patience) if state.step else []
        state.alarms += alarms
        lowest = guards.best(state.points)
        if lowest is point and state.step:
            before, state.best = state.best, state.step
            self._save(self.folder / f"best-{state.step}")
            if before is not None:
                shutil.rmtree(self.folder / f"best-{before}", ignore_errors=True)
        state.seconds = time.perf_counter() - began
        self._checkpoint(state)
        if keep:
            keep(document(state.points, state.alarms, state.best, state.seconds))
        tell(Progress(step=state.step, steps=self.steps, loss=None, point=point))
        for alarm in alarms:
            tell(Progress(step=state.step, steps=self.steps, loss=None, alarm=alarm))

    def _valid_share(self) -> float | None:
        """Share of a few sampled outputs that satisfy the schema, or have the form of the data."""
        if self.plan.schema is None and self._shape is None:
            return None
        rows = self.plan.validation[:SAMPLES]
        longest = 16 + max(row.learnt for row in self._held)
        valid = 0
        self.model.eval()
        for row in rows:
            text = greedy(self.model, self.tokenizer, row.messages[:-1], max_tokens=longest)
            valid += is_valid(text, self.plan.schema, self._shape)
        return valid / len(rows)

    def _save(self, folder: Path) -> None:
        temporary = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(temporary, ignore_errors=True)
        self.model.save_pretrained(str(temporary))
        if self.plan.recipe.method == "full":
            self.tokenizer.save_pretrained(str(temporary))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)

    def _checkpoint(self, state: _State) -> None:
        weights = {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}
        held = {
            "weights": weights,
            "optimizer": self._optimizer.state_dict(),
            "random": self.torch.get_rng_state(),
            "state": {
                "step": state.step,
                **document(state.points, state.alarms, state.best, state.seconds),
                "norms": state.norms,
            },
        }
        temporary = self.folder / ".checkpoint.new"
        self.torch.save(held, temporary)
        os.replace(temporary, self.folder / "checkpoint.pt")

    def _restored(self) -> _State:
        file = self.folder / "checkpoint.pt"
        if not file.exists():
            return _State()
        held = self.torch.load(file, map_location="cpu", weights_only=True)
        named = dict(self.model.named_parameters())
        with self.torch.no_grad():
            for name, values in held["weights"].items():
                named[name].copy_(values)
        self._optimizer.load_state_dict(held["optimizer"])
        self.torch.set_rng_state(held["random"])
        state = held["state"]
        return _State(
            step=state["step"],
            points=[guards.restored_point(one) for one in state["points"]],
            alarms=[guards.restored_alarm(one) for one in state["alarms"]],
            norms=list(state["norms"]),
            best=state["best"],
            seconds=state["seconds"],
        )


def is_valid(text: str, schema: "Schema | None", shape: str | None) -> bool:
    """Whether an output is plain JSON that satisfies the schema; without one, whether it has the form."""
    if schema is not None:
        from firstfault.structured.repair import examine

        return not examine(text.strip(), schema).problems
    return doctor.shape(text) == shape


def document(
    points: Sequence[Point], alarms: Sequence[Alarm], best: int | None, seconds: float
) -> dict[str, Any]:
    """What was measured, as JSON."""
    return {
        "points": [_finite(asdict(point)) for point in points],
        "alarms": [asdict(alarm) for alarm in alarms],
        "best": best,
        "seconds": round(seconds, 1),
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """A loss beyond all numbers as the largest there is: JSON has no infinity."""
    return {
        name: 1e30 if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def _parts(rows: Sequence[Encoded]) -> Iterator[list[Encoded]]:
    """Rows in parts that fit into one pass."""
    part: list[Encoded] = []
    width = 0
    for row in rows:
        wider = max(width, len(row.ids))
        if part and wider * (len(part) + 1) > TOKENS_AT_ONCE:
            yield part
            part, wider = [], len(row.ids)
        part.append(row)
        width = wider
    if part:
        yield part
