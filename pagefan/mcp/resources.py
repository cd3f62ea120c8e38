"""What was read, as MCP resources; a client may put them into a conversation by their address."""

from __future__ import annotations

from pagefan.aclient import AsyncClient
from pagefan.mcp.tools import check_job_id
from pagefan.paged import split_pages


class Resources:
    """The handlers of the resource templates, on one Pagefan server."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client

    async def result(self, job: str) -> str:
        """The Markdown of all pages; while the job runs, of those read so far."""
        return await self.client.result(check_job_id(job), "md", partial=True)

    async def page(self, job: str, number: int) -> str:
        """The Markdown of one page, counted from 1."""
        pages = split_pages(await self.client.result(check_job_id(job), "md", partial=True))
        if number not in pages:
            raise ValueError(f"Job {job} has no text of a page {number}.")
        return pages[number]
