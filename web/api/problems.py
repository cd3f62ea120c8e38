"""Errors as RFC 9457 problem+json, each with a stable type and a sentence on what to do.

Whoever fails raises `Problem`; people on HTML pages see the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import request


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of error; `advice` says what the caller can do about it."""

    status: int
    title: str
    advice: str


KINDS: dict[str, Kind] = {
    "bad-request": Kind(
        status=400,
        title="The request could not be read",
        advice="Check its body and headers against /docs.",
    ),
    "unauthorized": Kind(
        status=401,
        title="A key is needed",
        advice="Send `Authorization: Bearer KEY` with one of the server's API keys.",
    ),
    "forbidden": Kind(
        status=403,
        title="This request came from another site",
        advice="Open Pagefan's own page, reload it and try again.",
    ),
    "not-found": Kind(
        status=404, title="There is nothing at this address", advice="The calls are listed at /docs."
    ),
    "unknown-job": Kind(
        status=404,
        title="No such job",
        advice="Check the id. Finished jobs are kept for a limited time; if it has expired, send the file again.",
    ),
    "unknown-batch": Kind(
        status=404,
        title="No such batch",
        advice="Check the `batch_id`. A batch is known as long as one of its jobs is kept.",
    ),
    "unknown-upload": Kind(status=404, title="No such upload", advice="Send the file anew: parts are kept for a day."),
    "wrong-offset": Kind(status=409, title="The part does not follow", advice="Ask by HEAD where to go on."),
    "other-version": Kind(status=412, title="Another version of tus", advice="Speak the one in `Tus-Version`."),
    "admins-only": Kind(status=403, title="This is for who runs the service", advice="Ask them for an admin's key."),
    "unknown-page": Kind(
        status=404,
        title="The job has no such page",
        advice="Page numbers start at 1; the job's `selection` says which pages it reads.",
    ),
    "unknown-table": Kind(
        status=404,
        title="The document has no such table",
        advice="Tables are counted from 1; `GET /api/v1/jobs/{id}/tables` lists them.",
    ),
    "no-figure": Kind(
        status=404,
        title="The document has no such figure",
        advice="The blocks of a page name its figures; `format=zip` has all of them.",
    ),
    "no-image": Kind(
        status=404,
        title="There is no image of this page",
        advice="Images appear once a page is prepared, and are not kept for very long documents.",
    ),
    "method-not-allowed": Kind(
        status=405,
        title="This address does not take that method",
        advice="The calls are listed at /docs.",
    ),
    "not-acceptable": Kind(
        status=406,
        title="None of the wanted formats can be given",
        advice="Ask for one of the formats listed at /docs with `?format=`.",
    ),
    "too-slow": Kind(
        status=408,
        title="The request came too slowly",
        advice="Send it again over a faster line, or a smaller file.",
    ),
    "not-finished": Kind(
        status=409,
        title="The job has not finished",
        advice="Wait with `GET /api/v1/jobs/{id}?wait=30`, or add `partial=1` to get the pages read so far.",
    ),
    "still-running": Kind(
        status=409,
        title="The job has not ended",
        advice="Wait for its end with `GET /api/v1/jobs/{id}?wait=30`, then send it again.",
    ),
    "no-sharing": Kind(
        status=409,
        title="This server asks for no keys",
        advice="Who can reach it can open the job's own page; send that address.",
    ),
    "no-text": Kind(
        status=409,
        title="The page has no text",
        advice="Have it read again with `POST /api/v1/jobs/{id}/retry`; what is read then can be corrected.",
    ),
    "no-result": Kind(
        status=409,
        title="The job ended without a result",
        advice="The job's `error` says why. Mend the cause and send the file again.",
    ),
    "being-made": Kind(
        status=409,
        title="The file is not ready yet",
        advice="It is made at the first request; ask again in a few seconds, as Retry-After says.",
    ),
    "page-busy": Kind(
        status=409,
        title="The page is still at work",
        advice="Wait until the page has ended, or cancel the job first.",
    ),
    "nothing-to-retry": Kind(
        status=409,
        title="There is nothing to repair",
        advice="Name pages that have ended, or `failed` when there are failed ones.",
    ),
    "key-in-use": Kind(
        status=409,
        title="The first request with this Idempotency-Key is under way",
        advice="Wait as long as Retry-After says and send the same request again to get its answer.",
    ),
    "key-mismatch": Kind(
        status=422,
        title="This Idempotency-Key belongs to another request",
        advice="Use a new key for a request with other files or options.",
    ),
    "too-large": Kind(
        status=413,
        title="The upload is too large",
        advice="Split the document or make it smaller; the operator can raise MAX_UPLOAD_MB.",
    ),
    "too-many-parts": Kind(
        status=413,
        title="The form has too many parts or too much text",
        advice="Send fewer files in one request, each with the same `batch_id`, and shorter options.",
    ),
    "unsupported-format": Kind(
        status=415,
        title="This kind of file cannot be read",
        advice="Send one of the formats in `formats`. The content decides, not the name.",
    ),
    "unsupported-media-type": Kind(
        status=415,
        title="The body has the wrong content type",
        advice="Send files as multipart/form-data in the field `file`, everything else as application/json.",
    ),
    "empty-file": Kind(
        status=422,
        title="The file is empty",
        advice="Check that it was saved completely, then send it again.",
    ),
    "no-documents": Kind(
        status=422,
        title="There are no documents to take",
        advice="Check the folder or the pattern, and name a smaller part of it where there are too many.",
    ),
    "damaged-file": Kind(
        status=422,
        title="The file is damaged",
        advice="Open it in a viewer, save or print it anew, and send that.",
    ),
    "invalid-options": Kind(
        status=422, title="An option cannot be used", advice="`errors` names each option and what it accepts."
    ),
    "too-many-requests": Kind(
        status=429, title="Too many requests", advice="Wait as long as Retry-After says, then try again."
    ),
    "quota-exceeded": Kind(
        status=429,
        title="The key has used up what it may",
        advice="Wait as long as Retry-After says, then send it again; the operator can raise the quota.",
    ),
    "internal": Kind(
        status=500,
        title="Something went wrong on the server",
        advice="Try again. If it stays, tell the operator the time; the server's log has the details.",
    ),
    "unavailable": Kind(
        status=503,
        title="The job store cannot be reached",
        advice="Nothing is lost. Wait as long as Retry-After says, then try again.",
    ),
    "storage": Kind(
        status=503,
        title="The file store does not take the file",
        advice="Try again later; the operator can see in /readyz and the log what is wrong with the store.",
    ),
    "busy": Kind(
        status=503,
        title="The server receives too much at once",
        advice="Wait as long as Retry-After says, then send it again.",
    ),
    "queue-full": Kind(
        status=503,
        title="The queue is full",
        advice="Wait as long as Retry-After says, then send the file again.",
    ),
    "too-many-listeners": Kind(
        status=503,
        title="Too many listeners",
        advice="Poll `GET /api/v1/jobs/{id}/pages?since=` instead, or try again later.",
    ),
}  # fmt: skip


@dataclass(eq=False)
class Problem(Exception):
    """A request that fails in a way its sender should know about; `kind` is a key of KINDS."""

    kind: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return KINDS[self.kind].status

    def body(self) -> dict[str, Any]:
        """The fields of RFC 9457 and our `advice`, and the same words where clients of other services look for them."""
        kind = KINDS[self.kind]
        detail = self.detail or kind.title + "."
        message = f"{detail} {kind.advice}"
        return {
            "type": f"urn:pagefan:problem:{self.kind}",
            "title": kind.title,
            "status": kind.status,
            "detail": detail,
            "advice": kind.advice,
            "message": message,
            "error": {"code": self.kind, "message": message},
            "instance": request.path,
            **self.extra,
        }
