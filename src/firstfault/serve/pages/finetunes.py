"""*Fine-tunes*: training runs with curves, abilities, gates and first fault; releasing and going back.

Everything is read from records: no page needs torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from firstfault.diagnose.diagnosis import open_playbook
from firstfault.diagnose.playbook import Playbook
from firstfault.finetune import Release, list_releases
from firstfault.finetune.card import card
from firstfault.finetune.diagnose import Intervention, RunDiagnosis, confirmed, diagnose
from firstfault.finetune.gates import passed
from firstfault.finetune.guards import Alarm, Point, restored_alarm, restored_point
from firstfault.finetune.measure import Bench, Paired, restored_bench
from firstfault.finetune.releases import CARD_FILE
from firstfault.finetune.runs import TrainingRun
from firstfault.serve.engine import UNLOADED
from firstfault.serve.pages.curves import curves
from firstfault.serve.pages.rendering import render, to
from firstfault.serve.pages.session import Reader, Viewer, acting
from firstfault.serve.problems import UnknownError
from firstfault.serve.releases import find_run, newest, release_run, roll_back
from firstfault.serve.state import Served, served
from firstfault.types import Status, Verdict

router = APIRouter()

MOST_RUNS = 100
_ORDER = {"fail": 0, "unknown": 1, "warn": 2, "ok": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A measure without and with the adapter, as it is drawn."""

    paired: Paired
    tone: Status
    """`ok` or `fail` where the interval of the difference excludes none, for better or worse."""
    middle: float
    """Place of the difference, 0 to 1; 0.5 = no difference."""
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune:
    """A training run as the pages show it."""

    run: TrainingRun
    points: tuple[Point, ...]
    alarms: tuple[Alarm, ...]
    bench: Bench | None
    diagnosis: RunDiagnosis | None
    """None while it trains: nothing is judged before the end."""
    trials: tuple[Intervention, ...]
    """Short trainings by which `finetune diagnose --trial` checked a cause."""
    releases: tuple[Release, ...]
    """Made of this run, newest first."""

    @property
    def record(self) -> Mapping[str, Any]:
        """What was recorded."""
        return self.run.record

    @property
    def gates(self) -> tuple[Verdict, ...]:
        """The verdict of every gate, those that stop a release first."""
        found = self.diagnosis.gates if self.diagnosis else ()
        return tuple(sorted(found, key=lambda one: _ORDER[one.status]))

    @property
    def failed(self) -> tuple[str, ...]:
        """Gates that stop a release."""
        return tuple(one.name for one in self.gates if one.status not in {"ok", "warn"})

    @property
    def passed(self) -> bool:
        """Whether a release may be made."""
        return bool(self.gates) and passed(self.gates)

    @property
    def live(self) -> tuple[Release, ...]:
        """Releases of this run that their names mean now."""
        return tuple(one for one in self.releases if one.current)

    @property
    def kept(self) -> Point | None:
        """The measurement that became the adapter."""
        return next((one for one in self.points if one.step == self.record.get("best")), None)


@router.get("/fine-tunes")
async def finetunes(request: Request, who: Reader) -> Response:
    """What every adapter's name means now, and the newest training runs."""
    server = served(request)
    home, settings = server.engine.config.home, server.engine.settings

    def read() -> tuple[list[Tune], tuple[Release, ...]]:
        made, book = list_releases(home), open_playbook(settings)
        return [_tune(run, made, book) for run in newest(home, MOST_RUNS)], made

    tunes, made = await server.engine.read(read)
    first = {one.name: min(other.number for other in made if other.name == one.name) for one in made}
    return render(
        request,
        "finetunes.html",
        who=who,
        tunes=tunes,
        live=[one for one in made if one.current],
        returnable={one.name for one in made if one.current and one.number > first[one.name]},
        configured=settings.generator.adapter,
        unloaded=UNLOADED.get(settings.generator.kind, ""),
        may=_may(who),
        most=MOST_RUNS,
    )


@router.get("/fine-tunes/{run_id}")
async def finetune(request: Request, run_id: str, who: Reader) -> Response:
    """One training run: first fault or release, curves, abilities, gates, recipe, data, model card."""
    server = served(request)
    tune, made = await _read(server, run_id)
    bench = tune.bench
    names = sorted({one.name for one in made})
    return render(
        request,
        "finetune.html",
        who=who,
        tune=tune,
        data=tune.record["data"],
        recipe=tune.record["recipe"]["settings"],
        checked=[Verdict(**one) for one in tune.record.get("check", ())],
        chart=curves(tune.points, tune.kept.step if tune.kept else None),
        axes=sorted({axis for point in tune.points for axis in point.abilities}),
        measures=[_measure(one) for one in (*bench.task, *bench.axes)] if bench else [],
        samples=bench.samples if bench and not who.key.collections else (),
        card=await server.engine.read(lambda: _card(tune)),
        names=names,
        returnable={one.name for one in tune.live if one.number > _first(made, one.name)},
        configured=server.engine.settings.generator.adapter,
        unloaded=UNLOADED.get(server.engine.settings.generator.kind, ""),
        may=_may(who),
    )


@router.get("/fine-tunes/{run_id}/card")
async def download(request: Request, run_id: str, who: Reader) -> Response:
    """The model card as Markdown, to download."""
    server = served(request)
    tune, _ = await _read(server, run_id)
    text = await server.engine.read(lambda: _card(tune))
    if not text:
        raise UnknownError(f"{tune.run.id} has no model card yet.", hint="It is written when training ends.")
    headers = {
        "content-disposition": f'attachment; filename="{tune.run.id}.md"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return Response(text.encode("utf-8", "replace"), 200, headers, media_type="text/markdown; charset=utf-8")


@router.post("/fine-tunes/rollback")
async def rollback(request: Request) -> Response:
    """Make a name mean the release before its current one."""
    who, fields = await acting(request, "admin")
    await roll_back(served(request), fields.get("name", ""), key=who.key)
    return to("/ui/fine-tunes")


@router.post("/fine-tunes/{run_id}/release")
async def release(request: Request, run_id: str) -> Response:
    """Make the adapter of a run the current release of a name, if every gate passes."""
    who, fields = await acting(request, "admin")
    licence = fields.get("licence", "").strip()[:2000] or "Not stated."
    name = fields.get("name", "").strip()
    done = await release_run(served(request), run_id, name, licence=licence, key=who.key)
    return to(f"/ui/fine-tunes/{done.moved.run_id}")


async def _read(server: Served, run_id: str) -> tuple[Tune, tuple[Release, ...]]:
    home, settings = server.engine.config.home, server.engine.settings

    def read() -> tuple[Tune, tuple[Release, ...]]:
        made = list_releases(home)
        return _tune(find_run(home, run_id), made, open_playbook(settings)), made

    return await server.engine.read(read)


def _tune(run: TrainingRun, made: Sequence[Release], book: Playbook) -> Tune:
    record = run.record
    trials = tuple(Intervention(**one) for one in record.get("trials", ()))
    found = diagnose(run, book) if run.status != "training" else None
    return Tune(
        run=run,
        points=tuple(restored_point(one) for one in record.get("points", ())),
        alarms=tuple(restored_alarm(one) for one in record.get("alarms", ())),
        bench=restored_bench(record["bench"]) if record.get("bench") else None,
        diagnosis=confirmed(found, trials) if found else None,
        trials=trials,
        releases=tuple(one for one in made if one.run_id == run.id),
    )


def _measure(one: Paired) -> Measure:
    """Differences of scores are drawn from -1 to 1; those of perplexity as far as they reach."""
    ends = [abs(value) for value in (one.delta, one.ci_low, one.ci_high) if value is not None]
    reach = 1.0 if one.higher_is_better else max(*ends, 0.05)

    def place(value: float) -> float:
        return min(1.0, max(0.0, 0.5 + value / reach / 2))

    tone: Status = "unknown"
    if one.ci_low is not None and one.ci_high is not None and (one.ci_low > 0 or one.ci_high < 0):
        tone = "ok" if (one.ci_low > 0) == one.higher_is_better else "fail"
    return Measure(
        paired=one,
        tone=tone,
        middle=place(one.delta),
        low=None if one.ci_low is None else place(one.ci_low),
        high=None if one.ci_high is None else place(one.ci_high),
    )


def _card(tune: Tune) -> str:
    """The card that was released, else what it would be; empty while there is nothing to say."""
    for one in (*tune.live, *tune.releases):
        file = one.folder / CARD_FILE
        if file.is_file():
            return file.read_text(encoding="utf-8")
    if not tune.points or tune.run.status == "training":
        return ""
    return card("Not released yet", tune.run.id, tune.record, tune.gates, licence="Not stated.")


def _first(made: Sequence[Release], name: str) -> int:
    return min(one.number for one in made if one.name == name)


def _may(who: Viewer) -> bool:
    """Whether the key may release: it concerns every collection."""
    return who.allows("admin") and not who.key.collections
