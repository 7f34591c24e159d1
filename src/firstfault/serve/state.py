"""What every route can reach: the engine, the keys, the jobs, the counters."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from sqlalchemy import Engine
from starlette.requests import HTTPConnection

from firstfault.collection.database import connect
from firstfault.serve.admission import RateLimits

if TYPE_CHECKING:
    from firstfault.serve.engine import Engine as Answering
    from firstfault.serve.jobs import Jobs
    from firstfault.serve.keys import KeyStore
    from firstfault.serve.metrics import Metrics
    from firstfault.serve.monitoring import Monitoring

T = TypeVar("T")


@dataclass(kw_only=True)
class Served:
    """A running server's parts."""

    engine: "Answering"
    keys: "KeyStore"
    jobs: "Jobs"
    metrics: "Metrics"
    monitoring: "Monitoring | None" = None
    """What watches the requests; None where it is switched off."""
    limits: RateLimits = field(default_factory=RateLimits)
    keys_demanded: bool = False
    """True where the address is beyond loopback: a key is then needed even if the last one was removed."""
    stopping: bool = False


async def over_database(server: Served, work: Callable[[Engine], T]) -> T:
    """What `work` makes of the database of the home, on a thread that may wait for it."""

    def opened() -> T:
        database = connect(server.engine.config.home)
        try:
            return work(database)
        finally:
            database.dispose()

    return await server.engine.read(opened)


def served(connection: HTTPConnection) -> Served:
    """The server that a request came to."""
    return cast("Served", connection.app.state.served)
