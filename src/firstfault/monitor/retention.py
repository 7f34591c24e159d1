"""What monitoring forgets: a time in; readings, feedback, and resolved alerts and incidents before it gone.

Reviews are kept: people made them.
"""

from sqlalchemy import Engine

from firstfault.monitor.alerts import AlertStore
from firstfault.monitor.incidents import IncidentStore
from firstfault.monitor.readings import Readings


def drop_before(engine: Engine, at: str) -> int:
    """Delete what is older than an ISO 8601 time in UTC. Returns how many readings that were."""
    IncidentStore(engine).drop_before(at)
    AlertStore(engine).drop_before(at)
    return Readings(engine).drop_before(at)
