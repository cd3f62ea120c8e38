"""What the server tells of a job's webhook and target."""

from typing import Literal, TypedDict


class Delivery(TypedDict):
    """A call of the job's webhook, or the last try at a file of its target; it went well when `reason` is empty."""

    kind: Literal["webhook", "pages", "target"]
    target: str
    format: str
    tries: int
    is_over: bool
    event: str
    at: str
    status: int
    reason: str
    seconds: float
