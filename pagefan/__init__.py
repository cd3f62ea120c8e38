"""Pagefan from Python: `from pagefan import Client`, or `AsyncClient`."""

from pagefan.aclient import AsyncClient
from pagefan.answer_record import Answer
from pagefan.answers import ClientError, Event, Format, JobFailed, Options, Refused, Result, ServerAway
from pagefan.client import Client
from pagefan.local import NoServer, convert, local
from pagefan.records import Batch, Block, Job, JobSummary, Line, Page, PageText, ResultPage, Table

__all__ = [
    "Answer",
    "AsyncClient",
    "Batch",
    "Block",
    "Client",
    "ClientError",
    "Event",
    "Format",
    "Job",
    "JobFailed",
    "JobSummary",
    "Line",
    "NoServer",
    "Options",
    "Page",
    "PageText",
    "Refused",
    "Result",
    "ResultPage",
    "ServerAway",
    "Table",
    "convert",
    "local",
]
