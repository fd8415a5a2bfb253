"""The times of a draft as an organizer types and reads them, in a zone of their own; the draft has them in UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime

from petition.core import time_zones
from petition.core.errors import Refused
from petition.drafts import draft_fields

FIELDS = ("opened_at", "closes_at")


def to_utc(form: Mapping[str, str], zone: str) -> dict[str, str]:
    """Return the times in a form in UTC. What is no time, and a day alone, stays as it was typed.

    Of an hour that the clock shows twice, the moment that the page was made with (by its digest), else the first.
    """
    return {name: _to_utc(name, form[name], zone, form.get(f"seen.{name}", "")) for name in FIELDS if name in form}


def _to_utc(name: str, typed: str, zone: str, seen: str) -> str:
    try:
        written = draft_fields.checked("closes_at", typed)
    except Refused:
        return typed
    if not written or (name == "opened_at" and "T" not in typed and " " not in typed.strip()):
        return typed
    moments = [_written(moment) for moment in time_zones.moments_of(datetime.fromisoformat(written), zone)]
    return next((moment for moment in moments if draft_fields.digest(moment) == seen), moments[0])


def from_utc(fields: Mapping[str, str], zone: str) -> dict[str, str]:
    """Return the times among a draft's fields on a zone's clock; a day alone, and what is no time, as it is."""
    return {name: _from_utc(fields[name], zone) for name in FIELDS if name in fields}


def _from_utc(stored: str, zone: str) -> str:
    if "T" not in stored:
        return stored
    try:
        moment = datetime.fromisoformat(stored).replace(tzinfo=UTC)
    except ValueError:  # typed, and refused
        return stored
    return time_zones.local_time(moment, zone).isoformat()


def _written(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat()
