"""The tools as a model sees them: their docstrings and the descriptions of their arguments are all it knows."""

from __future__ import annotations

import re
from typing import Annotated, Literal, cast

from mcp.server.mcpserver import Context
from pydantic import Field

from pagefan.aclient import AsyncClient
from pagefan.answers import ENDED, Options, check_readable
from pagefan.mcp.following import Useless, follow, num_ended, watch
from pagefan.mcp.reading import chosen, excerpt, search, shortly
from pagefan.mcp.sending import send
from pagefan.paged import split_pages
from pagefan.records import Job, Table

JOB_ID = re.compile(r"[0-9a-f]{16}")
READERS = frozenset({"ocr", "tesseract", "text-layer"})  # engines that give a page's words and answer nothing

JobId = Annotated[str, Field(description="The job id that `convert` or `ask` gave, 16 hexadecimal digits.")]
Source = Annotated[
    str,
    Field(
        description="The document: an http or https address, a data: URI with base64, or the absolute path of a file "
        "where this server runs on the user's machine."
    ),
]
Pages = Annotated[str, Field(description="Pages, from 1, such as 1-3,7 or 5- or -1 for the last. Empty: all.")]
WaitS = Annotated[
    float,
    Field(ge=0, le=600, description="Seconds to wait for the end. The job goes on after that; see `job_status`."),
]
MaxChars = Annotated[int, Field(ge=200, le=200_000, description="Most characters of text to return.")]
Name = Annotated[str, Field(description="A file name for a data: URI, such as report.pdf.")]


def check_job_id(job: str) -> str:
    if not JOB_ID.fullmatch(job):
        raise ValueError(f"{job!r:.80} is no job id: these are 16 hexadecimal digits, as `convert` gives them.")
    return job


class Tools:
    """The tools on one Pagefan server; only where `may_read_files` do paths name documents."""

    def __init__(self, client: AsyncClient, *, may_read_files: bool) -> None:
        self.client = client
        self.may_read_files = may_read_files

    async def convert(
        self,
        source: Source,
        context: Context,
        pages: Pages = "",
        language: Annotated[str, Field(description="What it is written in, such as eng or deu+fra. Empty: auto.")] = "",
        text_layer: Annotated[
            Literal["", "auto", "ignore", "prefer"],
            Field(description="A PDF's own text: used where it agrees with the print, never, or wherever sound."),
        ] = "",
        password: Annotated[str, Field(description="Opens an encrypted PDF.")] = "",
        name: Name = "",
        wait_s: WaitS = 50,
        max_chars: MaxChars = 8000,
    ) -> str:
        """Read a document (PDF, scan, photograph, TIFF) and return its text as Markdown, page by page.

        Returns the job id, the state, the number of pages and the beginning of the text. Use the job id with
        read_pages, search and tables. Cancelling this call cancels the job.
        """
        given = {"pages": pages, "language": language, "text_layer": text_layer, "password": password}
        options = cast("Options", {option: value for option, value in given.items() if value})
        job = await send(self.client, source, name, options, may_read_files=self.may_read_files)
        return await self._beginning(await follow(self.client, job["id"], context, wait_s), max_chars)

    async def ask(
        self,
        source: Source,
        question: Annotated[str, Field(min_length=1, max_length=4000, description="Asked of each page by itself.")],
        context: Context,
        pages: Pages = "",
        name: Name = "",
        wait_s: WaitS = 50,
        max_chars: MaxChars = 8000,
    ) -> str:
        """Ask the server's vision model a question about each page of a document, such as what a chart shows.

        Returns an answer for each page. It works only where the server runs a language model; elsewhere use convert
        and answer from the text. Name the pages that matter, for each page takes time.
        """
        options: Options = {"task": "ask", "question": question, "text_layer": "ignore"}
        if pages:
            options["pages"] = pages
        job = await send(self.client, source, name, options, may_read_files=self.may_read_files)
        job = await follow(self.client, job["id"], context, wait_s, self._refuse_readers)
        return await self._beginning(job, max_chars)

    async def read_pages(self, job: JobId, pages: Pages = "", max_chars: MaxChars = 40_000) -> str:
        """Read pages of a document that was converted, as Markdown with headings, lists and tables.

        Also works while the job runs, for the pages read so far. Where not all fits, the reply says which pages to ask
        for next.
        """
        return await self._text(await self.client.status(check_job_id(job)), pages, max_chars)

    async def search(
        self,
        job: JobId,
        query: Annotated[str, Field(description="A word or phrase; case and line breaks do not matter.")],
        most: Annotated[int, Field(ge=1, le=200, description="Most places to return.")] = 20,
    ) -> str:
        """Find a word or phrase in a converted document. Returns page numbers with the text around each place."""
        result = await self.client.fetch(await self._with_text(job), "json")
        hits, total = search(((page["page_number"], page["text"]) for page in result.pages), query, most)
        if not hits:
            return f"Nothing in the {len(result.pages)} pages of job {job} matches {query!r}. Try fewer or other words."
        lines = [f"{total} places, the first {len(hits)}:" if total > len(hits) else f"{total} places:"]
        return "\n".join(lines + [f"- page {hit.page_number}: {hit.snippet}" for hit in hits])

    async def tables(
        self,
        job: JobId,
        number: Annotated[int, Field(ge=0, description="A table's number, from 1, to get it as CSV. 0: list all.")] = 0,
    ) -> str:
        """List the tables of a converted document, or return one of them as CSV."""
        if number:
            return await self.client.table(check_job_id(job), number)
        tables = await self.client.tables(check_job_id(job))
        if not tables:
            return f"No tables were found in job {job}."
        return "\n".join(map(describe_table, tables)) + f'\nGet one as CSV with tables(job="{job}", number=1).'

    async def job_status(self, job: JobId, wait_s: WaitS = 0) -> str:
        """How far a job is: its state, and how many of its pages have been read. Waits for its end up to `wait_s`."""
        return describe(await watch(self.client, check_job_id(job), wait_s))

    async def cancel(self, job: JobId) -> str:
        """Stop a job that is not needed any more. Pages that have been read stay readable."""
        stopped = await self.client.cancel(check_job_id(job))
        return describe(stopped) if stopped else f"Job {job} is deleted."

    async def _with_text(self, job_id: str) -> Job:
        job = await self.client.status(check_job_id(job_id))
        if job["state"] not in ENDED:
            raise ValueError(f"{describe(job)}\nSearch once it has ended: job_status with wait_s=50 waits for that.")
        return job

    async def _beginning(self, job: Job, max_chars: int) -> str:
        if job["state"] not in ENDED:
            return f'{describe(job)}\nIt goes on: call job_status(job="{job["id"]}", wait_s=50), then read_pages.'
        check_readable(job)
        return f"{describe(job)}\n\n{await self._text(job, job['selection'], max_chars)}"

    async def _text(self, job: Job, selection: str, max_chars: int) -> str:
        check_readable(job)
        if not job["num_pages"]:
            raise ValueError(f"{describe(job)}\nNo page has been read yet; call job_status with wait_s=50 first.")
        pages = split_pages(await self.client.result(job["id"], "md", partial=job["state"] != "succeeded"))
        text, left = excerpt(pages, chosen(selection or job["selection"], job["num_pages"]), max_chars)
        if not left:
            return text
        return f'{text}\n\nThere is more: read_pages(job="{job["id"]}", pages="{shortly(left)}") goes on.'

    async def _refuse_readers(self, job: Job) -> None:
        """Raises Useless where pages come back as their own words instead of answers."""
        if not num_ended(job):
            return
        engines = {page["engine"] for page in (await self.client.pages(job["id"]))["pages"]}
        if found := engines & READERS:
            raise Useless(
                f"This server's engine ({', '.join(sorted(found))}) reads print and answers no questions; that takes "
                "a language model, ENGINE=vlm or openai on the server. Use `convert` and answer from the text."
            )


def describe(job: Job) -> str:
    """The facts about a job that a model needs, a line each."""
    progress = f"{num_ended(job)} of the {job['pages']['total']} chosen are done"
    pages = f"{job['num_pages']}; {progress}" if job["num_pages"] else "not known yet"
    lines = [f"job: {job['id']} ({job['name']})", f"state: {job['state']}", f"pages: {pages}"]
    if job["missing_pages"]:
        lines.append(f"pages without text: {shortly(job['missing_pages'])}")
    if job["error"]:
        lines.append(f"error: {job['error']['detail']}")
    return "\n".join(lines + [f"warning: {warning}" for warning in job["warnings"]])


def describe_table(table: Table) -> str:
    head = " | ".join(cell["text"] for cell in table["cells"] if cell["row"] == 0)
    size = f"{table['rows']} rows, {table['columns']} columns"
    return f"{table['number']}. page {table['page_number']}, {size}: {head:.120}"
