"""What is on record of each call of a webhook and each file that is written to a target."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

from tasks.ledger.records import Job

PAUSES_S = (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800)  # after each failed attempt; a day in all
LONGEST_S = 2 * sum(PAUSES_S)  # after a job's end, when its deliveries have been given up for sure
JITTER = 0.1  # share of a pause by which it varies, so that a receiver that comes back is not met by all at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One call of a webhook, the last one about pages, or the last try at a file.

    `status` is HTTP's, 0 when there was no answer.
    `reason` is empty where it was accepted. `is_over` is whether nothing more is tried.
    """

    event: str
    at: float
    status: int
    reason: str
    seconds: float
    kind: Literal["webhook", "pages", "target"] = "webhook"
    target: str = ""
    format: str = ""
    tries: int = 1
    is_over: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"at": round(self.at, 3), "seconds": round(self.seconds, 3)}

    def over(self) -> Self:
        """The same, after which nothing more is tried."""
        return replace(self, is_over=True)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        known = {spec.name for spec in fields(cls)}
        return cls(**{name: item for name, item in value.items() if name in known})


def event_id(job: Job) -> str:
    """Names one end of the job: a repair ends it anew. Receivers know by it a call that comes twice."""
    return f"{job.id}.{job.run}.{job.state}"
