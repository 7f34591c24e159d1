"""The doctor: is everything there that an answer needs?

In: a configuration. Out: one verdict a check, each with the fix. Nothing is changed or created.
"""

import os
import shutil
from collections.abc import Iterator

from firstfault.config import Config
from firstfault.errors import FirstfaultError
from firstfault.types import Verdict

LEAST_FREE_BYTES = 500 * 1024 * 1024
"""Below this the disk check warns: SQLite needs room to write even when it deletes."""


def checkup(config: Config, *, collection: str) -> list[Verdict]:
    """Check disk, models, endpoints and the collection, in this order."""
    return [
        *_disk(config),
        *_models(config),
        *_endpoints(config),
        *_collection(config, collection),
    ]


def _disk(config: Config) -> Iterator[Verdict]:
    place = config.home if config.home.exists() else config.home.absolute().parent
    free = shutil.disk_usage(place).free
    enough = free >= LEAST_FREE_BYTES
    yield Verdict(
        name="disk",
        status="ok" if enough else "warn",
        measured=float(free),
        limit=float(LEAST_FREE_BYTES),
        reason=f"{free / 2**30:.1f} GiB free at {place}",
        remedy="" if enough else "Free disk space, or move the home with --home.",
    )
    if config.home.exists() and not os.access(config.home, os.W_OK):
        yield Verdict(
            name="home",
            status="fail",
            reason=f"{config.home} is not writable",
            remedy="Change its owner or permissions.",
        )


def _models(config: Config) -> Iterator[Verdict]:
    from firstfault.models import store

    settings = config.settings
    for section in (settings.embedder, settings.generator):
        if section.kind in ("onnx", "llama") and store.is_known(section.model):
            yield store.verify(section.model)


def _endpoints(config: Config) -> Iterator[Verdict]:
    settings = config.settings
    for name, section in (
        ("embedder", settings.embedder),
        ("generator", settings.generator),
        ("verifier", settings.verifier),
    ):
        if section.kind == "openai":
            yield _endpoint(name, section.base_url, section.model, section.api_key_env)


def _endpoint(name: str, base_url: str | None, model: str | None, api_key_env: str) -> Verdict:
    """Whether an OpenAI-compatible endpoint answers, takes the key and has the model."""
    import httpx

    key = os.environ.get(api_key_env)
    url = f"{(base_url or '').rstrip('/')}/models"
    if not base_url:
        return Verdict(name=name, status="fail", reason="base_url is not set", remedy=f"Set {name}.base_url.")
    try:
        response = httpx.get(url, headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=10)
    except httpx.HTTPError as error:
        return Verdict(
            name=name,
            status="fail",
            reason=f"{url} cannot be reached ({type(error).__name__})",
            remedy=f"Start the server, or correct {name}.base_url.",
        )
    if response.status_code in (401, 403):
        return Verdict(
            name=name,
            status="fail",
            reason=f"{url} refused the key (HTTP {response.status_code})",
            remedy=f"Put a valid key into the environment variable {api_key_env}.",
        )
    if response.status_code != 200:
        return Verdict(
            name=name,
            status="warn",
            reason=f"{url} answered HTTP {response.status_code}; the model list cannot be checked",
            remedy="Ask once to see whether it works.",
        )
    try:
        listed = [entry["id"] for entry in response.json()["data"]]
    except (ValueError, KeyError, TypeError):
        listed = []
    if model not in listed:
        return Verdict(
            name=name,
            status="fail",
            reason=f"{url} does not list the model {model!r}",
            remedy=f"Set {name}.model to one of: {', '.join(listed[:8]) or 'nothing is listed'}.",
        )
    return Verdict(name=name, status="ok", reason=f"{base_url} answers and has {model}")


def _collection(config: Config, collection: str) -> Iterator[Verdict]:
    from firstfault.answer.application import Application

    if not config.home.exists():
        yield Verdict(
            name="collection",
            status="warn",
            reason=f"there is no home at {config.home} yet",
            remedy="Make one: firstfault ingest PATH",
        )
        return
    app = Application(config, collection=collection)
    try:
        yield from app.collection.check()
    except FirstfaultError as error:
        yield Verdict(name="collection", status="fail", reason=error.message, remedy=error.hint)
    finally:
        app.close()
