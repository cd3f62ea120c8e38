"""REST: a link that lets anybody read one document for a while."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import Response, url_for
from pydantic import BaseModel, Field

from tasks.access.keys import get_keyring
from tasks.access.shares import make_share, stop_sharing
from tasks.assemble.result_job import iso_time
from tasks.ledger.records import Job
from web.api.inputs import Input
from web.api.jobs import find_job
from web.api.problems import Problem

MOST_DAYS = 365

bp = APIBlueprint("shares", __name__, url_prefix="/api/v1/jobs/<job_id>", tag="Jobs")


class ShareFields(Input):
    """How long a link is good."""

    days: int = Field(7, ge=1, le=MOST_DAYS, description="Days that the link is good for.")


class ShareOut(BaseModel):
    """A link to read the document; it shows nothing else and changes nothing."""

    url: str
    expires_at: str = Field(description="UTC.")


@bp.post("/share")
@bp.input(ShareFields, location="json")
@bp.output(ShareOut)
@bp.doc(
    responses={404: "Unknown job", 409: "The job runs, or the server has no keys", 503: "Job store away"},
    operation_id="shareJob",
)
def share(job_id: str, json_data: ShareFields) -> ShareOut:
    """Make a link for others

    Who has it reads the document and downloads its text, without a key, until it expires or sharing is stopped. Only
    where the server asks for keys, and once the job has ended.
    """
    return share_of(find_job(job_id), json_data.days)


@bp.delete("/share")
@bp.doc(responses={204: "No link is good now", 404: "Unknown job", 503: "Job store away"}, operation_id="unshareJob")
def unshare(job_id: str) -> Response:
    """Stop sharing

    All links made until now lead nowhere.
    """
    stop_sharing(find_job(job_id).id)
    return Response(status=204)


def share_of(job: Job, days: int) -> ShareOut:
    if not get_keyring().is_needed:
        raise Problem("no-sharing")
    if not job.has_ended:
        raise Problem("still-running", "Documents can be shared once the job has ended.", {"Retry-After": "3"})
    token, until = make_share(job, days)
    url = url_for("guests.come_in", job_id=job.id, token=token, _external=True)
    return ShareOut(url=url, expires_at=iso_time(until))
