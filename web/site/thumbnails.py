"""The small pictures of the list: of a job's first page, made when they are first asked for and kept with the job."""

from __future__ import annotations

import logging

from apiflask import APIBlueprint
from flask import Response

from tasks.blobs import BlobMissing, job_key, page_key
from tasks.ledger.records import Job
from tasks.services import get_blobs
from tasks.settings import get_settings
from web.api.jobs import find_job
from workers.documents.kinds import EXTENSIONS
from workers.documents.selection import Selection
from workers.documents.thumbnail import make_thumbnail

logger = logging.getLogger(__name__)

bp = APIBlueprint("thumbnails", __name__, enable_openapi=False)

KEPT_S, SOON_S = 86_400, 5  # by browsers: a picture, and the sign that stands where there is none yet
SIGN = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 44 56"><path d="M1 1h31l11 11v43H1z" fill="#fffefb"
 stroke="#8d887c"/><path d="M32 1v11h11" fill="none" stroke="#8d887c"/><text x="22" y="37" text-anchor="middle"
 font-family="sans-serif" font-size="11" font-weight="600" fill="#5b6167">{kind}</text></svg>"""


@bp.get("/jobs/<job_id>/thumbnail")
def show_thumbnail(job_id: str) -> Response:
    """Always a picture: a sign of the document's kind stands for a page whose image there is not."""
    job = find_job(job_id)
    if picture := thumbnail_of(job):
        return respond(picture, "image/webp", KEPT_S)
    kind = job.kind if job.kind in EXTENSIONS else ""
    return respond(SIGN.format(kind=kind.upper()).encode(), "image/svg+xml", KEPT_S if job.has_ended else SOON_S)


def respond(data: bytes, mimetype: str, kept_s: int) -> Response:
    response = Response(data, mimetype=mimetype)
    response.headers["Cache-Control"] = f"private, max-age={kept_s}"
    return response


def thumbnail_of(job: Job) -> bytes | None:
    """The first page, small; None where its image is not there yet, or is not kept, so that none of it is to stay."""
    if not job.selection or not get_settings().keep_page_images:
        return None
    key = job_key(job.id, "thumbnail.webp")
    try:
        return get_blobs().read(key)
    except BlobMissing:
        pass
    try:
        small = make_thumbnail(get_blobs().read(page_key(job.id, next(iter(Selection.parse(job.selection))), "png")))
        get_blobs().write(key, small)
    except BlobMissing:
        return None
    except OSError as exc:
        logger.warning("job %s has no small picture: %s", job.id, exc)
        return None
    return small
