"""The process: a configuration in, a listening server out, until a signal ends it.

SIGTERM and SIGINT stop it gracefully; SIGHUP reads the configuration again.
"""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

import uvicorn

from firstfault.config import Config, ServeConfig
from firstfault.errors import ConfigError, FirstfaultError, StorageError
from firstfault.serve.app import create_app
from firstfault.serve.engine import Engine
from firstfault.serve.keys import KeyStore
from firstfault.serve.metrics import Metrics
from firstfault.serve.monitoring import Monitoring
from firstfault.serve.state import Served
from firstfault.serve.work import open_jobs

if TYPE_CHECKING:
    from firstfault.serve.telemetry import Telemetry

logger = logging.getLogger(__name__)

BACKLOG = 1024
JOBS_STOP_S = 5.0


def run(
    config: Config,
    *,
    collections: Sequence[str] = ("default",),
    reload: Callable[[], Config],
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until a signal. `reload` reads the configuration again; `ready` is told the address.

    Raises:
        ConfigError: the address is beyond loopback and there is no key.
        LockedError: another process has the home.
    """
    serve = config.settings.serve
    keys = KeyStore(config.home)
    beyond = not is_loopback(serve.host)
    if beyond and not any(key.revoked is None for key in keys.all()):
        raise ConfigError(
            f"{serve.host} can be reached from other machines, and there is no key.",
            hint="Create one: firstfault keys create NAME --scope ask; or set serve.host to 127.0.0.1.",
        )
    if (serve.tls_cert is None) != (serve.tls_key is None):
        raise ConfigError(
            "TLS needs a certificate and its key.", hint="Set serve.tls_cert and serve.tls_key."
        )
    listener = _listen(serve)
    try:
        engine = Engine(config)
        engine.settled = _freeze
        engine.start(tuple(collections))
        metrics = Metrics()
        engine.observers.append(metrics.answered)
        telemetry = _telemetry(config, engine)
        server = Served(
            engine=engine, keys=keys, jobs=open_jobs(engine), metrics=metrics, keys_demanded=beyond
        )
        if config.settings.monitor.enabled:
            server.monitoring = Monitoring(engine)
            server.monitoring.start()
            metrics.watch_alerts(server.monitoring)
        metrics.watch(engine, server.jobs)
        left = server.jobs.start()
        if left:
            logger.info("%d jobs of an earlier run are taken up again", left)
        url = _url(serve, listener.getsockname()[1])
        for collection in engine.parts.open_collections().values():
            collection.announce(url)
            break
        sys.setswitchinterval(0.001)  # answering and listening share the interpreter
        asyncio.run(_serve(server, listener, reload, lambda: ready(url), telemetry))
    finally:
        listener.close()


def _freeze() -> None:
    """Take what is loaded by now out of the garbage collector's sight.

    It stays until the end. To look through it, every request in the process was stopped now and then.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def is_loopback(host: str) -> bool:
    """Whether an address to bind can only be reached from this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _no_signals() -> Iterator[None]:
    """Signals are handled here, so that the engine stops before the sockets close."""
    yield


async def _serve(
    server: Served,
    listener: socket.socket,
    reload: Callable[[], Config],
    ready: Callable[[], None],
    telemetry: "Telemetry | None",
) -> None:
    serve = server.engine.settings.serve
    listening = uvicorn.Server(
        uvicorn.Config(
            create_app(server),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            lifespan="off",
            ssl_certfile=serve.tls_cert,
            ssl_keyfile=serve.tls_key,
            timeout_graceful_shutdown=max(1, round(serve.shutdown_s)),
        )
    )
    listening.capture_signals = _no_signals  # type: ignore[method-assign]
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        task = loop.create_task(_reload(server, reload))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    running = asyncio.ensure_future(listening.serve(sockets=[listener]))
    while not listening.started and not running.done():
        await asyncio.sleep(0.01)
    _freeze()
    ready()
    stopper = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({running, stopper}, return_when=asyncio.FIRST_COMPLETED)
    logger.info("stopping: nothing new is taken, what is running may finish")
    server.engine.admission.closed = True
    await asyncio.to_thread(server.jobs.stop, JOBS_STOP_S)  # before what they work on is closed
    if server.monitoring is not None:
        await asyncio.to_thread(server.monitoring.stop, JOBS_STOP_S)
    try:
        cancelled = await server.engine.stop(serve.shutdown_s)
        if cancelled:
            logger.warning("%d requests were cancelled at the end of serve.shutdown_s", cancelled)
    except StorageError as error:
        logger.error("%s %s", error.message, error.hint)  # noqa: TRY400 - it says all there is
    finally:
        listening.should_exit = True
        await running
        if telemetry is not None:
            await asyncio.to_thread(telemetry.close)
    logger.info("stopped")


async def _reload(server: Served, reload: Callable[[], Config]) -> None:
    try:
        config = await asyncio.to_thread(reload)
        restart = await server.engine.reload(config)
    except FirstfaultError as error:
        logger.error("the configuration was not taken over: %s %s", error.message, error.hint)  # noqa: TRY400
        return
    logger.info("the configuration %s is in force", config.settings.fingerprint())
    if restart:
        logger.warning("needs a restart to take effect: %s", ", ".join(restart))


def _telemetry(config: Config, engine: Engine) -> "Telemetry | None":
    serve = config.settings.serve
    if serve.otlp_endpoint is None:
        return None
    from firstfault.serve.telemetry import Telemetry

    telemetry = Telemetry(serve.otlp_endpoint, content=serve.otlp_content)
    engine.observers.append(telemetry.observe)
    return telemetry


def _listen(serve: ServeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in serve.host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named: it cost 40 ms a request
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((serve.host, serve.port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"{serve.host}:{serve.port} cannot be bound: {error.strerror or error}.",
            hint="Set serve.port (--port) to a free one, or serve.host to an address of this machine.",
        ) from error
    listener.listen(BACKLOG)
    return listener


def _url(serve: ServeConfig, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(serve.host, serve.host)  # noqa: S104 - compared, not bound
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if serve.tls_cert else 'http'}://{host}:{port}"
