"""What a home forgets, monitoring included: all that is older than the retention.

Reviews are kept: people made them.
"""

from typing import TYPE_CHECKING, Any

from firstfault.collection.database import connect
from firstfault.evaluate.retention import collect as collect_others
from firstfault.monitor.alerts import AlertStore
from firstfault.monitor.incidents import IncidentStore
from firstfault.monitor.readings import Readings

if TYPE_CHECKING:
    from firstfault.answer import Application


def collect(app: "Application", keep_days: int | None = None) -> dict[str, Any]:
    """Drop readings, feedback, and resolved alerts and incidents as well; how much, as JSON values."""
    done = collect_others(app, keep_days)
    engine = connect(app.config.home)
    try:
        IncidentStore(engine).drop_before(done["before"])
        AlertStore(engine).drop_before(done["before"])
        return {**done, "readings": Readings(engine).drop_before(done["before"])}
    finally:
        engine.dispose()
