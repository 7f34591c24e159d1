"""A simulation of the same nodes, request by request: it checks the formulas that a plan rests on.

In: shards, replicas, cores, rates. Out: quantiles of the simulated times. Nothing of `queueing` is used:
requests arrive at random, each asks one replica of every shard, queues for its cores, ends with the slowest.
"""

import heapq
import math
from dataclasses import dataclass

import numpy as np

from firstfault.plan.queueing import Times

SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What came of a simulation."""

    times: Times
    requests: int
    utilisation: float
    """Share of the nodes' time that was taken."""


def simulate(
    *,
    qps: float,
    shards: int,
    replicas: int,
    cores: int,
    mean_ms: float,
    cv: float,
    fixed_ms: float = 0.0,
    requests: int = 20_000,
    seed: int = SEED,
) -> Simulated:
    """Send requests through shards x replicas nodes; the first tenth warms up and is not counted.

    The number of node visits is bounded: with many shards fewer requests are simulated.
    """
    requests = max(2_000, min(requests, 2_000_000 // shards))
    random = np.random.default_rng(seed)
    variance = math.log(1 + cv**2)
    centre, spread = math.log(mean_ms) - variance / 2, math.sqrt(variance)
    arrivals = np.cumsum(random.exponential(1000.0 / qps, size=requests))
    slowest = np.zeros(requests)
    busy = 0.0
    for _ in range(shards):  # shards share no node, so each is simulated by itself
        chosen = random.integers(replicas, size=requests)
        service = np.exp(random.normal(centre, spread, size=requests))
        busy += float(service.sum())
        free: list[list[float]] = [[0.0] * cores for _ in range(replicas)]
        for at in range(requests):
            node = free[chosen[at]]
            begun = max(arrivals[at], node[0])
            done = begun + service[at]
            heapq.heapreplace(node, done)
            slowest[at] = max(slowest[at], done - arrivals[at])
    counted = slowest[requests // 10 :] + fixed_ms
    p50, p95, p99 = (round(float(q), 2) for q in np.quantile(counted, [0.5, 0.95, 0.99]))
    return Simulated(
        times=Times(p50=p50, p95=p95, p99=p99),
        requests=requests,
        utilisation=round(busy / (float(arrivals[-1]) * shards * replicas * cores), 3),
    )
