"""How the embedded model reads a prompt: in one request, or a batch a request; turn by turn, in one process.

    python -m bench.reading [--rounds 5] [--leaves 8] [--words 400] [--threads 2]

Prints one JSON document: what reading costs, and what is computed after a client has left in the middle.
CPU time holds on a busy machine too; divided by the threads it is the time by the clock of an idle one.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from firstfault.models import LlamaGenerator, Message

WORDS = (
    "The value of each section returns the greatest common divisor of its list and raises an error".split()
)
QUIET_S = 0.3
"""When no look, 5 ms after the one before, has found a millisecond of CPU for so long, the work has ended."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--leaves", type=int, default=8)
    parser.add_argument("--words", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    generator = LlamaGenerator(threads=given.threads)
    generator.load()
    by_batch = generator._read_ahead
    ways: dict[str, Callable[..., bool]] = {"one request": lambda *_: False, "a batch a request": by_batch}
    rng = random.Random(0)
    question = " ".join(rng.choice(WORDS) for _ in range(given.words))
    found: dict[str, dict[str, list[float]]] = {
        way: {"cpu_ms": [], "ms": [], "cpu_ms_after_leaving": [], "ms_after_leaving": []} for way in ways
    }
    with asyncio.Runner() as runner:
        runner.run(read(generator, "Hello."))
        for number in range(given.rounds):
            for way in sorted(ways, reverse=bool(number % 2)):
                generator._read_ahead = ways[way]  # type: ignore[method-assign]
                took = runner.run(read(generator, f"{number} {question}"))
                found[way]["cpu_ms"].append(took[0])
                found[way]["ms"].append(took[1])
        usual = min(min(figures["cpu_ms"]) for figures in found.values())
        for number in range(given.leaves):
            after = rng.uniform(0.1, 0.8) * usual
            for way in sorted(ways, reverse=bool(number % 2)):
                generator._read_ahead = ways[way]  # type: ignore[method-assign]
                left = runner.run(leave(generator, f"{number} {question}", after))
                found[way]["cpu_ms_after_leaving"].append(left[0])
                found[way]["ms_after_leaving"].append(left[1])
    tokens = generator.count_tokens(question)
    generator.close()
    print(json.dumps({"tokens": tokens, "threads": given.threads, **summary(found)}, indent=2))


async def read(generator: LlamaGenerator, question: str) -> tuple[float, float]:
    """Milliseconds of CPU and by the clock until the first token."""
    cpu, clock = time.process_time(), time.perf_counter()
    async for _ in generator.stream([Message(role="user", content=question)], max_tokens=1):
        pass
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - clock) * 1000


async def leave(generator: LlamaGenerator, question: str, after: float) -> tuple[float, float]:
    """Leave when so many milliseconds of CPU were spent: what is spent afterwards, and for how long."""
    stream = generator.stream([Message(role="user", content=question)], max_tokens=50)
    begun = time.process_time()
    task = asyncio.ensure_future(anext(stream))
    while (time.process_time() - begun) * 1000 < after:
        await asyncio.sleep(0.005)
    cpu, clock = time.process_time(), time.perf_counter()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    spent = before = cpu
    last = clock
    while (now := time.perf_counter()) < last + QUIET_S:
        await asyncio.sleep(0.005)
        if (seen := time.process_time()) > before + 0.001:
            spent, last = seen, now
        before = seen
    return (spent - cpu) * 1000, (last - clock) * 1000


def summary(found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    return {
        way: {
            name: {
                "min": round(min(values)),
                "median": round(statistics.median(values)),
                "worst": round(max(values)),
            }
            for name, values in figures.items()
        }
        for way, figures in found.items()
    }


if __name__ == "__main__":
    main()
