import subprocess
import sys

import pytest

from firstfault.ingest.stdlib import stdlib_documents
from firstfault.types import Document


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    return {document.id: document for document in stdlib_documents()}


def test_it_is_a_corpus_of_useful_size(documents: dict[str, Document]) -> None:
    assert 1500 < len(documents) < 4000
    assert list(documents) == sorted(documents)
    assert 1_000_000 < sum(len(document.text) for document in documents.values()) < 2_500_000


@pytest.mark.parametrize(
    ("name", "kind", "module", "words"),
    [
        ("json.dumps", "function", "json", ["dumps(obj, *, skipkeys=False", "JSON formatted"]),
        ("asyncio.gather", "function", "asyncio", ["gather(*coros_or_futures"]),
        ("os.path.join", "function", "os.path", ["join(a, *p)"]),
        ("os.listdir", "function", "os", ["listdir("]),
        ("collections.deque", "class", "collections", ["appendleft"]),
        ("str", "class", "builtins", ["split("]),
        ("math", "module", "math", ["mathematical"]),
        ("math.gcd", "function", "math", ["gcd(*integers)", "Greatest Common Divisor"]),
        ("pathlib.Path", "class", "pathlib", ["read_text("]),
        ("datetime.datetime", "class", "datetime", []),
    ],
)
def test_an_entry(
    documents: dict[str, Document], name: str, kind: str, module: str, words: list[str]
) -> None:
    document = documents[name]
    assert document.text.startswith(f"# {name}\n")
    assert document.metadata["kind"] == kind
    assert document.metadata["module"] == module
    for part in words:
        assert part in document.text


def test_no_address_or_other_accident_of_the_run_is_in_it(documents: dict[str, Document]) -> None:
    assert not any(" at 0x7" in document.text for document in documents.values())
    assert not any(name.split(".")[0] in {"antigravity", "this", "idlelib", "test"} for name in documents)


def test_nothing_is_printed_and_nothing_dangerous_imported() -> None:
    script = (
        "import sys; from firstfault.ingest.stdlib import stdlib_documents; list(stdlib_documents());"
        "assert not {'antigravity', 'this', 'webbrowser', 'tkinter', 'turtle'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
