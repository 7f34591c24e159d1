"""A disk that refuses: what cannot be kept is not acknowledged, and reading goes on."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import Serve


def test_nothing_is_acknowledged_that_cannot_be_written(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    before = server.ask("When does the market open?")
    write, opened = os.write, Path.open

    def full(file: int, content: bytes) -> int:
        if os.readlink(f"/proc/self/fd/{file}").endswith(".spool"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content)

    def full_open(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.suffix == ".partial":
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        patch.setattr(Path, "open", full_open)
        refused = server.post("/ask", {"question": "When does the market open?"})
        assert refused.status_code == 507
        assert refused.json()["hint"]
        assert server.post("/documents", {"documents": [{"id": "a", "text": "b"}]}).status_code == 507
        assert server.post("/search", {"question": "market"}).status_code == 200
        assert server.http.get(f"/traces/{before['trace_id']}").status_code == 200
    assert server.post("/ask", {"question": "When does the market open?"}).status_code == 200
