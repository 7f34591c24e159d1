from tests.monitor.test_explain import QUESTIONS, app, healthy

from firstfault.answer import Application
from firstfault.collection.database import connect
from firstfault.monitor import Readings
from firstfault.monitor.retention import collect

__all__ = ["app", "healthy"]


def test_readings_go_with_their_traces(app: Application) -> None:
    engine = connect(app.config.home)
    readings = Readings(engine)
    assert readings.catch_up(app.settings.monitor) == len(QUESTIONS)
    assert collect(app, keep_days=1)["readings"] == 0
    done = collect(app, keep_days=0)
    assert (done["readings"], done["traces"]) == (len(QUESTIONS), len(QUESTIONS))
    assert readings.window() == []
    engine.dispose()
