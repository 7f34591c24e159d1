"""The doctor: is everything there that an answer needs?

In: a configuration. Out: one verdict a check, each with the fix. Nothing is changed or created.
"""

import os
import shutil
from collections.abc import Iterator

from firstfault.config import Config, GeneratorConfig
from firstfault.errors import FirstfaultError, LockedError
from firstfault.types import Verdict

ENDPOINT_SECONDS = 10.0
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
        endpoints = section.endpoints if isinstance(section, GeneratorConfig) else ()
        if section.kind == "openai" and endpoints:
            for one in endpoints:
                yield _endpoint(f"{name} {one.url}", one.url, section.model, section.api_key_env)
        elif section.kind == "openai":
            yield _endpoint(name, section.base_url, section.model, section.api_key_env)


def _endpoint(name: str, base_url: str | None, model: str | None, api_key_env: str) -> Verdict:
    """Whether an OpenAI-compatible endpoint answers, takes the key and has the model."""
    from firstfault.models.endpoint import Endpoint

    if not base_url or not model:
        missing = "base_url" if not base_url else "model"
        return Verdict(
            name=name, status="fail", reason=f"{missing} is not set", remedy=f"Set {name}.{missing}."
        )
    try:
        listed = Endpoint(
            base_url=base_url, model=model, api_key_env=api_key_env, timeout_s=ENDPOINT_SECONDS
        ).list_models()
    except FirstfaultError as error:
        return Verdict(name=name, status="fail", reason=error.message, remedy=error.hint)
    if model not in listed:
        return Verdict(
            name=name,
            status="fail",
            reason=f"{base_url} does not list the model {model!r}",
            remedy=f"Set {name}.model to one of: {', '.join(listed[:8]) or 'nothing is listed'}.",
        )
    return Verdict(name=name, status="ok", reason=f"{base_url} answers and has {model}")


def _collection(config: Config, collection: str) -> Iterator[Verdict]:
    from firstfault.answer.application import Application
    from firstfault.collection.lock import server_url

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
    except LockedError as error:
        url = server_url(config.home)
        owner = f"the server on {url}" if url else "another process"
        yield Verdict(
            name="collection",
            status="unknown",
            reason=f"not checked: {owner} has it. {error.message}",
            remedy=f"Ask the server: firstfault --url {url} status, or GET {url}/readyz"
            if url
            else "Run it again when that has ended.",
        )
    except FirstfaultError as error:
        yield Verdict(name="collection", status="fail", reason=error.message, remedy=error.hint)
    finally:
        app.close()
