"""What every route can reach: the engine, the keys, the jobs, the counters."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from starlette.requests import HTTPConnection

from firstfault.serve.admission import RateLimits

if TYPE_CHECKING:
    from firstfault.serve.engine import Engine
    from firstfault.serve.jobs import Jobs
    from firstfault.serve.keys import KeyStore
    from firstfault.serve.metrics import Metrics
    from firstfault.serve.monitoring import Monitoring


@dataclass(kw_only=True)
class Served:
    """A running server's parts."""

    engine: "Engine"
    keys: "KeyStore"
    jobs: "Jobs"
    metrics: "Metrics"
    monitoring: "Monitoring | None" = None
    """What watches the requests; None where it is switched off."""
    limits: RateLimits = field(default_factory=RateLimits)
    keys_demanded: bool = False
    """True where the address is beyond loopback: a key is then needed even if the last one was removed."""
    stopping: bool = False


def served(connection: HTTPConnection) -> Served:
    """The server that a request came to."""
    return cast("Served", connection.app.state.served)
