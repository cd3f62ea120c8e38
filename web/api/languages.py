"""The languages that pages can be read in, as the workers report them."""

from __future__ import annotations

from tasks.lanes import lanes, queue_of
from tasks.ledger import StoreAway
from tasks.services import get_impatient_ledger, lane_of
from web.api.problems import Problem
from workers.languages import AUTO, LanguageError, parse, require


def known_languages() -> list[str]:
    """What a worker that runs now can read, `auto` last; empty where no engine knows languages, or nobody knows."""
    try:
        names = {name for lane in lanes() for languages in of_workers(lane) for name in languages}
    except StoreAway:
        return []
    return sorted(names - {AUTO}) + ([AUTO] if AUTO in names else [])


def refuse_unknown(language: str, engine: str = "") -> None:
    """Raises Problem for a language that no worker of the engine has, where they know languages; one may come yet."""
    if not language or not (workers := of_workers(lane_of(engine))):
        return
    names = parse(language)
    if any(set(names) <= set(languages) for languages in workers):
        return
    try:
        require(names, max(workers, key=lambda languages: len(set(names) & set(languages))))
    except LanguageError as exc:
        errors = [{"option": "language", "message": str(exc)}]
        raise Problem("invalid-options", f"language: {exc}", extra={"errors": errors}) from exc


def of_workers(lane: str) -> list[list[str]]:
    """The languages of each worker of the lane whose engine knows any."""
    reports = get_impatient_ledger().workers(queue_of(lane)).values()
    return [list(map(str, report["languages"])) for report in reports if report.get("languages")]
