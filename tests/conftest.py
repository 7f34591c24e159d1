"""Shared fixtures: nothing may reach a model hub, the real models are pulled once, and PostgreSQL is real."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from hypothesis import settings

settings.register_profile("firstfault", deadline=None)
settings.load_profile("firstfault")


def _binaries() -> Path | None:
    """The folder of the newest initdb."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(4))
    here = shutil.which("initdb")
    return found[-1].parent if found else Path(here).resolve().parent if here else None


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster on a Unix socket; gives its SQLAlchemy address without a database."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="the extra `scale` is not installed")
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(user)
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    root = Path(tempfile.mkdtemp(prefix="ff-pg-", dir="/tmp"))  # short: the path of a socket is limited
    as_user = user if os.geteuid() == 0 else None
    if os.geteuid() == 0:
        shutil.chown(root, user)

    def run(*command: str) -> None:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=root,
            check=False,
            user=as_user,
        )
        if done.returncode:
            log = (root / "log").read_text() if (root / "log").exists() else ""
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}{log}")

    data = root / "data"
    try:
        run(str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-U", "firstfault", "--locale=C.UTF-8")
        options = f"-k {root} -c listen_addresses='' -c fsync=off -c max_connections=200"
        run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(root / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg://firstfault@/DATABASE?host={quote(str(root), safe='')}"
        finally:
            run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def make_database(address: str, name: str) -> str:
    """A new database of the cluster; gives its address."""
    import psycopg

    with psycopg.connect(
        address.replace("+psycopg", "").replace("DATABASE", "postgres"), autocommit=True
    ) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return address.replace("DATABASE", name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes new databases in a PostgreSQL of the tests' own; skipped where none is installed."""
    with cluster() as address:
        yield lambda: make_database(address, f"test_{uuid4().hex[:12]}")
