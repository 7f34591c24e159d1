"""The time of a request that waits in queues and asks several nodes: distributions on a grid.

In: rates, service times, numbers of nodes. Out: the distribution of the time, and its quantiles. A node is a
queue with several servers (M/G/c): the chance of waiting is Erlang's C, the wait of those who do is
exponential, with the mean of Allen and Cunneen (Allen, Probability, Statistics and Queueing Theory, 2nd ed.,
5.3.4); service is log-normal. A question is done when the slowest of its nodes is: the maximum of independent
times, which errs upwards, since the nodes of one question meet the same bursts.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstfault.errors import InputError

Array = npt.NDArray[np.float64]

_CELLS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One kind of node."""

    rate: float
    """Requests a millisecond that one node gets."""
    servers: int
    """Cores of it that work on requests."""
    mean_ms: float
    """Service time."""
    cv: float
    """Standard deviation of the service time over its mean."""
    parallel: int = 1
    """Nodes that a request asks at the same time; it waits for the slowest."""
    fixed_ms: float = 0.0
    """Added to every request: the network."""

    @property
    def utilisation(self) -> float:
        """Share of the servers' time that is taken."""
        return self.rate * self.mean_ms / self.servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Quantiles of a response time, in milliseconds."""

    p50: float
    p95: float
    p99: float


def waiting_share(servers: int, load: float) -> float:
    """Erlang's C: the share of requests that wait; `load` is rate x mean service time, below `servers`."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def response(stations: list[Station]) -> Times:
    """Quantiles of the time through stations that a request passes one after the other.

    Raises:
        InputError: a station gets more than it can do.
    """
    longest = sum(_horizon(station) for station in stations)
    step = longest / _CELLS
    total = np.zeros(_CELLS)
    total[0] = 1.0
    for station in stations:
        total = _convolve(total, _density(station, step))
    cumulated = np.cumsum(total)
    fixed = sum(station.fixed_ms for station in stations)
    p50, p95, p99 = (round(float(np.searchsorted(cumulated, q) * step + fixed), 2) for q in (0.5, 0.95, 0.99))
    return Times(p50=p50, p95=p95, p99=p99)


def _mean_wait(station: Station) -> tuple[float, float]:
    """Share of requests that wait, and the mean wait of those, in milliseconds."""
    if station.utilisation >= 1:
        raise InputError(
            f"A node gets {station.utilisation:.1f} times what it can do.", hint="Plan more nodes."
        )
    share = waiting_share(station.servers, station.rate * station.mean_ms)
    free = station.servers / station.mean_ms - station.rate
    return share, (1 + station.cv**2) / 2 / free


def _horizon(station: Station) -> float:
    """A time that hardly any request exceeds, in milliseconds."""
    _, wait = _mean_wait(station)
    spread = math.sqrt(math.log(1 + station.cv**2))
    deep = math.sqrt(2 * math.log(1e4 * station.parallel))
    slowest = station.mean_ms * math.exp(spread * deep)
    return slowest + wait * math.log(1e4 * station.parallel)


def _density(station: Station, step: float) -> Array:
    """(cells,) probability of every cell of `step` milliseconds, for the slowest of the parallel nodes."""
    share, wait = _mean_wait(station)
    edges: Array = np.arange(1, _CELLS + 1, dtype=np.float64) * step
    service = np.diff(_lognormal(edges, station.mean_ms, station.cv), prepend=0.0)
    waits = np.diff(
        1 - share * np.exp(-edges / wait), prepend=0.0
    )  # the first cell holds those who do not wait
    cumulated = np.cumsum(_convolve(service, waits)) ** station.parallel
    return np.diff(np.minimum(cumulated, 1.0), prepend=0.0)


def _lognormal(at: Array, mean: float, cv: float) -> Array:
    """Distribution function of a log-normal time."""
    variance = math.log(1 + cv**2)
    centre = math.log(mean) - variance / 2
    scaled = (np.log(at) - centre) / math.sqrt(2 * variance)
    return 0.5 * (1 + np.array([math.erf(x) for x in scaled]))


def _convolve(one: Array, other: Array) -> Array:
    """The distribution of a sum, by FFT; what lies beyond the grid is left out."""
    size = 2 * _CELLS
    product = np.fft.irfft(np.fft.rfft(one, size) * np.fft.rfft(other, size), size)
    return np.maximum(product[:_CELLS], 0.0)
