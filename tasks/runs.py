"""What all pages of one run of a job share, read once a process: options, pages chosen, limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from tasks import passwords
from tasks.blobs import source_key
from tasks.lanes import lanes, queue_of
from tasks.ledger import UnknownJob
from tasks.ledger.records import Job
from tasks.messages import JobOptions, PageTask
from tasks.services import engine_name, get_ledger, lane_of, longest_answer, reader_name
from workers.documents.selection import Selection
from workers.engines import PageRequest
from workers.prompts import build_prompt

SHORT_ANSWER = 256  # tokens that an answer to a question, or a description, rarely exceeds


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """One run of one job; nothing here changes while the run lives."""

    job_id: str
    run: int
    kind: str
    owner: str
    options: JobOptions
    selection: Selection
    num_selected: int  # pages of the job

    @property
    def source_key(self) -> str:
        return source_key(self.job_id, self.kind)

    @property
    def lane(self) -> str:
        """Whose engine reads the pages; raises EngineError where the server has that engine no longer."""
        return lane_of(self.options.engine)

    @property
    def queue(self) -> str:
        """Where the pages are generated; where their engine is gone, preparing them says so."""
        return queue_of(self.options.engine if self.options.engine in lanes() else "")

    def page(self, position: int) -> PageTask:
        return PageTask(job_id=self.job_id, run=self.run, index=self.selection.nth(position))

    @property
    def engine(self) -> str:
        """The name of the engine that pages are prepared for."""
        return reader_name(self.lane) if self.options.asks_document else engine_name(self.lane)

    def request(self, index: int) -> PageRequest:
        """What is asked of a page; where the document as a whole is asked about, no more than its text."""
        options = self.options
        if options.asks_document:
            return PageRequest(
                page_number=index + 1,
                language=options.language,
                prompt=build_prompt("transcribe"),
                max_new_tokens=longest_answer(self.lane),
            )
        return PageRequest(
            page_number=index + 1,
            task=options.task,
            language=options.language,
            prompt=build_prompt(options.task, question=options.question, prompt=options.prompt, schema=options.schema),
            schema=options.schema,
            max_new_tokens=options.max_new_tokens or longest_answer(self.lane),
            temperature=options.temperature,
        )

    def bucket(self, num_tokens: int) -> str:
        """Pages whose prompts, and whose answers as far as one can tell, differ in length by less than two times."""
        if self.options.asks_document:
            return f"{num_tokens.bit_length()}/{longest_answer(self.lane).bit_length()}"
        longest = self.options.max_new_tokens or longest_answer(self.lane)
        expected = longest if self.options.task in ("transcribe", "extract") else min(longest, SHORT_ANSWER)
        return f"{num_tokens.bit_length()}/{expected.bit_length()}"


def password_of(job: Job, run: int) -> str:
    return passwords.read(job.id, run) if job.options.has_password else ""


@lru_cache(maxsize=256)
def load_run(job_id: str, run: int) -> RunContext:
    """The run's context; raises UnknownJob when the ledger has it no longer."""
    ledger = get_ledger()
    job = ledger.job(job_id)
    selection, size = ledger.run_selection(job_id, run)
    if job is None or not size:
        raise UnknownJob(f"the ledger has no run {run} of job {job_id}")
    return RunContext(
        job_id=job_id,
        run=run,
        kind=job.kind,
        owner=job.owner,
        options=replace(job.options, **ledger.run_options(job_id, run), password=password_of(job, run)),
        selection=Selection.parse(selection),
        num_selected=job.num_selected,
    )
