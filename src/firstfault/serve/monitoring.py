"""Monitoring inside the server: finished traces in; readings, alerts and incidents in the home, messages out.

A request pays for reading its trace, some tens of microseconds. All else happens on a thread of its own:
readings are stored in batches, rules are judged every few seconds, and a sample is scored within its budget.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from firstfault.collection.database import connect
from firstfault.errors import FirstfaultError, StorageError
from firstfault.monitor.alerts import Alert, AlertStore
from firstfault.monitor.channels import open_channels
from firstfault.monitor.explain import Explanation, explain
from firstfault.monitor.reading import Reading, is_watched, read
from firstfault.monitor.readings import Readings
from firstfault.monitor.sampled import Budget, Sampler, is_sampled
from firstfault.monitor.watch import Watch
from firstfault.types import Trace

if TYPE_CHECKING:
    from firstfault.serve.engine import Engine
    from firstfault.serve.runtime import ServedApplication

logger = logging.getLogger(__name__)

WAITING = 64
"""Traces that may wait for their scores; further ones are not scored."""
NAP_S = 0.25
CORES = os.cpu_count() or 1
"""What this thread computes may take all of them: its own time counts so many times."""


class Monitoring:
    """Watches the requests of a server. `start` it, and `stop` it in the end."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._settings = engine.settings.monitor
        self._database = connect(engine.config.home)
        self._readings = Readings(self._database)
        self._waiting: queue.SimpleQueue[Reading] = queue.SimpleQueue()
        self._samples: queue.Queue[Trace] = queue.Queue(maxsize=WAITING)
        self._budget = Budget(self._settings.cpu_share)
        self._stopping = threading.Event()
        self._open: dict[str, tuple[ServedApplication, Sampler]] = {}
        self._thread = threading.Thread(target=self._run, name="monitoring", daemon=True)
        self.alerts = AlertStore(self._database)
        self.scored = 0
        """Requests that were scored again."""
        self.passed_over = 0
        """Requests of the sample for which there was no time."""

    def start(self) -> None:
        """Begin to watch.

        Raises:
            ConfigError: a rule is malformed, or a secret of a channel is missing.
        """
        self._watch = Watch(
            self._database,
            self._engine.settings,
            explain=self._explain,
            channels=open_channels(self._settings),
        )
        self._engine.observers.append(self.observe)
        self._thread.start()

    def observe(self, trace: Trace) -> None:
        """Take in a finished trace; called on the answering thread."""
        if not is_watched(trace):
            return
        self._waiting.put(read(trace, self._settings))
        if is_sampled(trace.id, self._settings.sample):
            try:
                self._samples.put_nowait(trace)
            except queue.Full:
                self.passed_over += 1

    def stop(self, limit_s: float) -> None:
        """Store what is pending and end."""
        self._stopping.set()
        self._thread.join(limit_s)
        self._database.dispose()

    def look(self) -> None:
        """Store the readings that wait, and judge the rules.

        Raises:
            StorageError: they could not be stored; they wait on.
        """
        found = []
        while not self._waiting.empty():
            found.append(self._waiting.get())
        try:
            self._readings.add(found)
        except StorageError:
            for one in found:
                self._waiting.put(one)
            raise
        self._watch.tick()

    def _run(self) -> None:
        try:
            self._readings.catch_up(self._settings)
        except FirstfaultError as error:
            logger.warning("Earlier traces were not read: %s", error)
        due = 0.0
        while not self._stopping.wait(NAP_S):
            try:
                if time.monotonic() >= due:
                    self.look()
                    due = time.monotonic() + self._settings.every_s
                self._score()
            except StorageError as error:
                logger.error("Monitoring waits: %s %s", error.message, error.hint)  # noqa: TRY400
                due = time.monotonic() + self._settings.every_s
            except Exception:  # the watch must go on, whatever one look does
                logger.exception("Monitoring failed, and goes on")
                due = time.monotonic() + self._settings.every_s
        try:
            self.look()
            self._watch.save()
        except FirstfaultError as error:
            logger.warning("The last readings are read again at the next start: %s", error)
        for app, _ in self._open.values():
            app.close()

    def _score(self) -> None:
        """Score what was sampled, as far as the budget allows."""
        while not self._stopping.is_set() and self._budget.allows():
            try:
                trace = self._samples.get_nowait()
            except queue.Empty:
                return
            began = time.thread_time()
            sampler = self._opened(trace.collection)[1]
            scores, canaries = sampler.score(trace), sampler.canaries(trace)
            lost = {"canary_lost": max(one.values["canary_lost"] for one in canaries)} if canaries else {}
            self._readings.update_values(trace.id, {**scores.values, **lost})
            for found in (scores, *canaries):
                self._watch.feed(found)
            self._budget.spend((time.thread_time() - began) * CORES)
            self.scored += 1

    def _opened(self, collection: str) -> "tuple[ServedApplication, Sampler]":
        """An application of this thread over the parts of the server, under the settings in force."""
        app, sampler = self._open.get(collection, (None, None))
        if app is None or sampler is None or app.config is not self._engine.config:
            if app is not None:
                app.close()
            app = self._engine.job_application(collection)
            sampler = Sampler(app)
            self._open[collection] = app, sampler
        return app, sampler

    def _explain(self, collection: str, alerts: Sequence[Alert], began: str | None) -> Explanation:
        return explain(self._opened(collection)[0], alerts, began=began)
