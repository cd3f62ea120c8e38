"""The MCP server: which tools and resources there are, and who may reach it over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from importlib.metadata import version
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations

from pagefan.aclient import AsyncClient
from pagefan.answers import ClientError, ServerAway
from pagefan.mcp.following import Useless
from pagefan.mcp.resources import Resources
from pagefan.mcp.tools import Tools

INSTRUCTIONS = (
    "Pagefan reads documents: PDFs, scans, photographs of pages. Call `convert` with a document first; it gives a job "
    "id, the number of pages and the beginning of the text as Markdown. Then read on with `read_pages`, find places "
    "with `search`, and fetch tables as CSV with `tables`. Page numbers count from 1. Where `convert` returns before "
    "the document is read, call `job_status` until the state is succeeded, partial or failed."
)
AWAY = "Tell the user to check that the Pagefan server runs, and what PAGEFAN_URL says."
MAX_BODY_BYTES = 64 << 20  # of a request, which may carry a document as a data: URI
NAMES = ("127.0.0.1", "localhost", "[::1]")
FAULTS = (ClientError, OSError, ValueError, Useless)
Handler = Callable[..., Awaitable[Any]]


def make_server(client: AsyncClient, *, may_read_files: bool) -> Any:
    """An MCPServer whose tools talk to the Pagefan server of `client`."""
    server = MCPServer(
        "pagefan", title="Pagefan", version=version("pagefan"), instructions=INSTRUCTIONS, log_level="WARNING"
    )
    tools = Tools(client, may_read_files=may_read_files)
    reading = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    sending = ToolAnnotations(destructive_hint=False)
    offered: list[tuple[Handler, Any]] = [(tools.convert, sending), (tools.ask, sending)]
    offered += [(tool, reading) for tool in (tools.read_pages, tools.search, tools.tables, tools.job_status)]
    offered.append((tools.cancel, ToolAnnotations(destructive_hint=True)))
    for tool, hints in offered:
        server.add_tool(clearly(tool, ToolError), annotations=hints)
    resources = Resources(client)
    addresses: dict[str, Handler] = {
        "pagefan://jobs/{job}/result.md": resources.result,
        "pagefan://jobs/{job}/pages/{number}": resources.page,
    }
    for uri, handler in addresses.items():
        server.resource(uri, mime_type="text/markdown")(clearly(handler, ResourceError))
    return server


def http_options(more_names: Iterable[str]) -> dict[str, Any]:
    """What `run_streamable_http_async` takes: a web page that has made a name lead here is refused, by that name."""
    names = [*NAMES, *more_names]
    security = TransportSecuritySettings(
        allowed_hosts=[f"{name}:*" for name in names] + names,
        allowed_origins=[f"http://{name}:*" for name in names],
    )
    return {"transport_security": security, "max_request_body_size": MAX_BODY_BYTES}


def clearly(handler: Handler, error: type[Exception]) -> Handler:
    """The same, but what goes wrong is said in words for the model, which else hears that something went wrong."""

    @wraps(handler)
    async def telling(*args: Any, **kwargs: Any) -> Any:
        try:
            return await handler(*args, **kwargs)
        except ServerAway as exc:
            raise error(f"{exc}\n{AWAY}") from exc
        except FAULTS as exc:
            raise error(str(exc)) from exc

    return telling
