"""The languages that pages can be read in, as the workers report them."""

from __future__ import annotations

from tasks.ledger import StoreAway
from tasks.services import get_impatient_ledger
from web.api.problems import Problem
from workers.languages import AUTO, LanguageError, parse, require


def known_languages() -> list[str]:
    """What a worker that runs now can read, `auto` last; empty where no engine knows languages, or nobody knows."""
    try:
        names = {name for languages in of_workers() for name in languages}
    except StoreAway:
        return []
    return sorted(names - {AUTO}) + ([AUTO] if AUTO in names else [])


def refuse_unknown(language: str) -> None:
    """Raises Problem for a language that no worker has, of those that know languages; a worker may come yet."""
    if not language or not (workers := of_workers()):
        return
    names = parse(language)
    if any(set(names) <= set(languages) for languages in workers):
        return
    try:
        require(names, max(workers, key=lambda languages: len(set(names) & set(languages))))
    except LanguageError as exc:
        errors = [{"option": "language", "message": str(exc)}]
        raise Problem("invalid-options", f"language: {exc}", extra={"errors": errors}) from exc


def of_workers() -> list[list[str]]:
    """The languages of each worker whose engine knows any."""
    reports = get_impatient_ledger().workers("gpu").values()
    return [list(map(str, report["languages"])) for report in reports if report.get("languages")]
