"""The MCP server as agents meet it: the real client, over HTTP and over stdio."""

import json
import os
import socket
import subprocess
import sys
from typing import Any

from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client
from tests.serve.conftest import Running, until

COMMAND = [sys.executable, "-c", "from firstfault.cli import main; main()"]
QUESTION = "When does the market open?"


async def use(server: Any) -> None:
    """Every tool, once."""
    async with Client(server) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            "search",
            "ask",
            "trace",
            "diagnose",
        }

        async def call(name: str, **given: Any) -> Any:
            found = await client.call_tool(name, given)
            assert not found.is_error, found
            return json.loads(found.content[0].text)  # type: ignore[union-attr]

        hits = (await call("search", question=QUESTION, limit=1))["hits"]
        assert [hit["chunk"]["document_id"] for hit in hits] == ["market.md"]
        answer = await call("ask", question=QUESTION)
        assert answer["citations"][0]["document_id"] == "market.md"
        assert (await call("trace", trace_id=answer["trace_id"]))["question"] == QUESTION
        assert "findings" in await call("diagnose", trace_id=answer["trace_id"])
        wrong = await client.call_tool("trace", {"trace_id": "none"})
        assert wrong.is_error
        assert "There is no trace" in wrong.content[0].text  # type: ignore[union-attr]


async def test_over_http(quoting: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    wanted = [*COMMAND, "--url", quoting.url, "mcp", "--http", "--port", str(port)]
    with subprocess.Popen(wanted, stderr=subprocess.DEVNULL) as process:
        try:

            def listens() -> bool:
                with socket.socket() as probe:
                    return probe.connect_ex(("127.0.0.1", port)) == 0

            assert until(listens, 60)
            await use(f"http://127.0.0.1:{port}/mcp")
        finally:
            process.terminate()


async def test_over_stdio(quoting: Running) -> None:
    wanted = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--url", quoting.url, "mcp"], env=dict(os.environ)
    )
    await use(stdio_client(wanted))
