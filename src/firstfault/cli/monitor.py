"""`monitor`, `watch`, `incident`, `feedback`: is it healthy, what fires, what broke first, who complained."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from firstfault.cli.state import Json, State, anywhere, print_json, state
from firstfault.errors import FirstfaultError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from firstfault.monitor import Entry, Incident, IncidentStore
    from firstfault.monitor.alerts import Alert
    from firstfault.monitor.explain import Explanation

DAY = "1d"
Span = Annotated[str, typer.Option("--since", help="The window: 30m, 1h, 7d, ...")]


def monitor(
    context: typer.Context,
    since: Span = "1h",
    baseline: Annotated[str, typer.Option(help="The time before it that is compared with.")] = DAY,
    model: Annotated[str | None, typer.Option(help="Only requests to this model.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Only requests with this adapter.")] = None,
    key: Annotated[str | None, typer.Option(help="Only requests with this API key.")] = None,
    as_json: Json = False,
) -> None:
    """One row a stage: state, trend, latency. Exit 1 when a stage fails."""
    from firstfault.diagnose.diagnosis import span_of_time
    from firstfault.monitor import AlertStore, Readings, Slice, health

    given = anywhere(context)
    window = span_of_time(since)
    if given.url is not None:
        from firstfault.cli import remote

        if key is not None or baseline != DAY:
            raise InputError(
                f"The server at {given.url} takes no --key and no --baseline.",
                hint="Leave them out, or run it on the machine of that server.",
            )
        hours = window.total_seconds() / 3600
        found = remote.health(given.at_url(), hours=hours, model=model, adapter=adapter)
    else:
        engine = _engine(given)
        readings = Readings(engine)
        _catch_up(given, readings)
        found = health(
            readings,
            given.config.settings,
            slice_=Slice(collection=given.collection, model=model, adapter=adapter, key=key),
            window=window,
            baseline=span_of_time(baseline),
            alerts=[alert.verdict() for alert in AlertStore(engine).current(given.collection)],
        )
        engine.dispose()
    if as_json:
        print_json(asdict(found))
    else:
        from firstfault.cli import render_monitor

        render_monitor.health(found)
    if found.worst == "fail":
        raise typer.Exit(1)


def watch(
    context: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Look once and end; exit 1 when a rule fires.")
    ] = False,
    rebase: Annotated[
        bool, typer.Option("--rebase", help="Forget what is usual, and learn it anew from what comes.")
    ] = False,
    every: Annotated[float | None, typer.Option(min=0.1, help="Seconds between two looks.")] = None,
    as_json: Json = False,
) -> None:
    """Judge the alert rules as requests come in, diagnose what fires, and send messages.

    A server does this by itself: beside one, this shows what it finds. Ends with Ctrl-C.
    """
    from firstfault.cli import render_monitor
    from firstfault.collection.lock import server_url
    from firstfault.monitor import AlertStore, IncidentStore, Readings
    from firstfault.monitor.channels import open_channels
    from firstfault.monitor.watch import Watch

    given = state(context)
    engine = _engine(given)
    settings = given.config.settings.monitor
    served = server_url(given.config.home) is not None and settings.enabled
    if served and rebase:
        raise InputError("A server watches this home.", hint="Stop it, run watch --rebase --once, start it.")
    watching = None
    if not served:
        watching = Watch(
            engine,
            given.config.settings,
            explain=lambda collection, alerts, began: _explain(given, collection, alerts, began),
            channels=open_channels(settings),
        )
        if rebase:
            watching.rebase()
    readings = Readings(engine)
    alerts, incidents = AlertStore(engine), IncidentStore(engine)
    seen: dict[str, str] = {}
    try:
        while True:
            if watching is not None:
                readings.catch_up(settings)
                watching.tick()
            if not as_json:
                seen = _show(incidents, seen)
                learning = watching.learning() if watching else None
                render_monitor.watch_line(alerts.current(), learning, once=once)
            if once:
                break
            time.sleep(every or settings.every_s)
    except KeyboardInterrupt:
        pass
    finally:
        if watching is not None:
            watching.save()
        current = alerts.current()
        engine.dispose()
    firing = any(one.state == "firing" for one in current)
    if as_json:
        print_json(
            {
                "alerts": [asdict(one) for one in current],
                "learning": watching.learning() if watching else None,
            }
        )
    if once and firing:
        raise typer.Exit(1)


def _show(incidents: "IncidentStore", seen: "dict[str, str]") -> dict[str, str]:
    """Print the incidents that are open or ended since the last look."""
    from firstfault.cli import render_monitor

    found = incidents.newest()
    told = {one.id: one.state + one.summary for one in found}
    for one in reversed(found):
        if told[one.id] != seen.get(one.id) and (one.state == "open" or one.id in seen):
            render_monitor.incident_line(one)
    return told


def incident(
    context: typer.Context,
    incident_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help='An incident; "last" is the newest. Without: the list.'),
    ] = None,
    note: Annotated[str | None, typer.Option(help="Put a note on its timeline.")] = None,
    tried: Annotated[str | None, typer.Option(help="Put a fix that was tried on its timeline.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the post-mortem to this file; - prints it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What broke first, how that is known, what was done: an incident, or the list of them."""
    from firstfault.cli import render_monitor
    from firstfault.monitor import postmortem

    given = anywhere(context)
    if incident_id is None:
        if note or tried or markdown:
            raise InputError("Which incident?", hint='Give its id, or "last".')
        found = _newest(given)
        if as_json:
            print_json({"incidents": [asdict(one) for one in found]})
        else:
            render_monitor.incidents(found)
        return
    one, timeline, own = _story(given, incident_id, note=note, tried=tried)
    if markdown is not None:
        text = postmortem(one, timeline, own)
        if str(markdown) == "-":
            print(text)
        else:
            from firstfault.files import write_text

            write_text(markdown, text)
            typer.echo(f"written to {markdown}", err=True)
    elif as_json:
        document: dict[str, Any] = asdict(one)
        document["alerts"] = [asdict(alert) for alert in own]
        document["timeline"] = [asdict(entry) for entry in timeline]
        print_json(document)
    else:
        render_monitor.incident(one, timeline, own)


def _newest(given: State) -> "list[Incident]":
    """Incidents: of the home, which may be read beside a server, or of the server at --url."""
    if given.url is not None:
        from firstfault.cli import remote

        return remote.incidents(given.at_url())
    from firstfault.monitor import IncidentStore

    engine = _engine(given)
    try:
        return IncidentStore(engine).newest()
    finally:
        engine.dispose()


def _story(
    given: State, incident_id: str, *, note: str | None, tried: str | None
) -> "tuple[Incident, list[Entry], list[Alert]]":
    """An incident with its timeline and its alerts, after what is to be noted; see `_newest`."""
    if given.url is not None:
        from firstfault.cli import remote

        if note or tried:
            raise InputError(
                f"The server at {given.url} takes no notes from the command line.",
                hint="Write it on the page of the incident, or run it on the machine of that server.",
            )
        return remote.incident(given.at_url(), incident_id)
    from firstfault.monitor import AlertStore, IncidentStore

    engine = _engine(given)
    store = IncidentStore(engine)
    try:
        one = store.get(incident_id)
        if note:
            store.note(one.id, "note", note)
        if tried:
            store.note(one.id, "fix", tried)
        return one, store.timeline(one.id), AlertStore(engine).of_incident(one.id)
    finally:
        engine.dispose()


def feedback(
    context: typer.Context,
    trace_id: Annotated[str, typer.Argument(metavar="TRACE", help="Id of the request, or how it begins.")],
    verdict: Annotated[str, typer.Argument(metavar="up|down", help="Was the answer good?")],
    note: Annotated[str, typer.Option(help="What was wrong.")] = "",
    as_json: Json = False,
) -> None:
    """Keep what a user thought of an answer; it weighs in alerts and spot checks."""
    given = anywhere(context)
    if given.url is not None:
        body = {"trace_id": trace_id, "verdict": verdict, "note": note}
        made = given.at_url().post("/feedback", body)
    else:
        made = _give_feedback(given, trace_id, verdict, note)
    if as_json:
        print_json(made)
    else:
        print(f"kept: {made['verdict']} on {made['trace_id']}")


def _give_feedback(given: State, trace_id: str, verdict: str, note: str) -> dict[str, Any]:
    from firstfault.monitor import Readings

    with given.traces() as store:
        trace = store.get(trace_id)
    engine = _engine(given)
    try:
        return asdict(Readings(engine).give_feedback(trace.id, verdict, note))
    finally:
        engine.dispose()


def _engine(given: State) -> "Engine":
    from firstfault.collection.database import connect

    return connect(given.config.home, create=False)


def _catch_up(given: State, readings: Any) -> None:
    from firstfault.collection.lock import server_url
    from firstfault.collection.readonly import is_read_only

    home = given.config.home
    if server_url(home) is None and not is_read_only(home):
        readings.catch_up(given.config.settings.monitor)


def _explain(given: State, collection: str, alerts: "Sequence[Alert]", began: str | None) -> "Explanation":
    """Diagnose with the home open for as long as that takes; when it is locked, say what the rules say."""
    from dataclasses import replace

    from firstfault.monitor.explain import explain, pointed_to

    try:
        with replace(given, collection=collection).application() as app:
            return explain(app, alerts, began=began)
    except FirstfaultError as error:
        return replace(pointed_to(alerts), note=f"Not diagnosed: {error}")


def register(app: typer.Typer) -> None:
    """Hang the commands on the root."""
    app.command()(monitor)
    app.command()(watch)
    app.command()(incident)
    app.command()(feedback)
