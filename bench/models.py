"""How fast the embedded models are here: opening, one query, many texts, token vectors, generation.

    python -m bench.models [--threads N] [--skip-generator]

Wall time suffers when the machine is busy, so the load average is printed, and rates are also given per
second of CPU time.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from firstfault.models import LlamaGenerator, Message, OnnxEmbedder, store
from firstfault.models.threads import default_threads
from firstfault.models.tokenvectors import compress, maxsim

OPEN = """
import time
start = time.perf_counter()
import onnxruntime, tokenizers
imported = time.perf_counter()
from firstfault.models import OnnxEmbedder
embedder = OnnxEmbedder()
opened = time.perf_counter()
embedder.embed(["How many points did the defense give up in total?"], "query")
done = time.perf_counter()
print(f"{1000 * (imported - start):.0f} {1000 * (opened - imported):.0f} {1000 * (done - opened):.0f}")
"""


def words(count: int, seed: int) -> str:
    """English-looking text: common words in random order, about 1.1 tokens each."""
    common = (
        "the of and to in that is was for it with as his on be at by had not are but from or have they which"
        " one you were all her she there would their we him been has when who will more if no out so said"
        " what up its about into than them can only other time new some could these two may first then any"
        " like my now over such our man me even most made after also did many must before back through years"
        " where much your way well down should because each just those people how too little state good very"
        " make world still own see men work long here get both between life being under never day same"
    ).split()
    rng = np.random.default_rng(seed)
    return " ".join(common[i] for i in rng.integers(0, len(common), count))


def percentiles(work: Callable[[], object], repeats: int) -> str:
    """p50 and p95 in milliseconds."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    return f"p50 {np.quantile(taken, 0.5):.2f} ms, p95 {np.quantile(taken, 0.95):.2f} ms"


def rate(work: Callable[[], object], units: int) -> str:
    """Units per second of wall and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return f"{units / wall:.1f}/s, {units / cpu:.1f} per CPU second"


def embedder_figures(threads: int) -> None:
    opened = [
        subprocess.run(
            [sys.executable, "-c", OPEN], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(5)
    ]
    imports, session, first = np.median(np.array(opened, dtype=float), axis=0)
    print(f"cold: import {imports:.0f} ms, open {session:.0f} ms, first query {first:.0f} ms (median of 5)")
    embedder = OnnxEmbedder(threads=threads)
    question = "How many points did the defense give up in total?"
    print(f"query of 10 words: {percentiles(lambda: embedder.embed([question], 'query'), 100)}")
    for count, texts in ((20, 400), (106, 200)):
        corpus = [words(count, seed) for seed in range(texts)]
        tokens = np.mean(embedder.count_tokens(corpus))
        vectors = embedder.embed(corpus[:40])
        print(f"texts of {tokens:.0f} tokens: {rate(lambda c=corpus: embedder.embed(c), texts)}")  # type: ignore[misc]
        alone = np.concatenate([embedder.embed([text]) for text in corpus[:40]])
        print(f"  largest difference between alone and in a batch: {np.abs(vectors - alone).max():.1e}")
    documents = [e.tokens for e in embedder.embed_tokens([words(100, seed) for seed in range(30)])]
    query = embedder.embed_tokens([question], "query")[0].tokens
    packed = [compress(tokens) for tokens in documents if tokens is not None]
    assert query is not None
    assert documents[0] is not None
    print(f"token vectors: {np.mean([len(data) for data in packed]):.0f} bytes a text of ~110 tokens")
    print(f"  compress one text: {percentiles(lambda: compress(documents[0]), 200)}")  # type: ignore[arg-type]
    print(f"  MaxSim over 30 texts: {percentiles(lambda: maxsim(query, packed), 200)}")


async def generator_figures(threads: int) -> None:
    generator = LlamaGenerator(threads=threads)
    start = time.perf_counter()
    generator.load()
    print(f"generator: load {1000 * (time.perf_counter() - start):.0f} ms")
    for count in (40, 700):
        messages = [Message(role="user", content=words(count, 1))]
        start = time.perf_counter()
        first = 0.0
        async for delta in generator.stream(messages, max_tokens=64):
            first = first or time.perf_counter() - start
            last = delta
        spent = time.perf_counter() - start
        print(
            f"  prompt of {last.prompt_tokens} tokens: first token after {1000 * first:.0f} ms,"
            f" then {((last.completion_tokens or 1) - 1) / (spent - first):.1f} tokens/s"
        )
    await generator.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--skip-generator", action="store_true")
    arguments = parser.parse_args()
    store.pull()
    print(f"threads {arguments.threads}, load average {os.getloadavg()[0]:.1f}")
    embedder_figures(arguments.threads)
    if not arguments.skip_generator:
        asyncio.run(generator_figures(arguments.threads))
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
