"""What the pages of writing share: names of fields, values as people read them, the preview's address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from petition.core.database import Record
from petition.core.i18n import N_
from petition.drafts import draft_fields
from petition.moderation.labels import FIELDS
from petition.web.desk.visit import DeskVisit

PREVIEW_DAYS = 30

LABELS: Mapping[str, str] = {**FIELDS, "closes_at": N_("Closes")}


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A field's value for a template; ``kind`` decides how it is rendered."""

    kind: str  # empty, text, markdown, number, numbers, moment, yes, parties, picture
    content: Any


def field_value(name: str, stored: str) -> FieldValue:
    """Return a field's value, parsed from its canonical form."""
    base = name.partition(".")[0]
    if not stored:
        return FieldValue("empty", "")
    if base in draft_fields.PARTIES:
        return FieldValue("parties", draft_fields.read_parties(stored))
    if base in {"opened_at", "closes_at", "publish_at_date"}:
        return FieldValue("moment", datetime.fromisoformat(stored).replace(tzinfo=UTC))
    if base in {"goal", "next_goals", "publish_at_number", "names_days"}:
        return FieldValue("numbers", [int(number) for number in stored.split()])
    kind = {"names_in_search": "yes", "picture": "picture", "text": "markdown"}.get(base, "text")
    return FieldValue(kind, stored)


def preview_url(visit: DeskVisit, link: Record) -> str:
    """Return the address of a preview link, in the organizer's language."""
    token = visit.services.tokens.for_preview(visit.letter.id, link["id"])
    return f"{visit.services.settings.base_url}/{visit.lang}/preview/{token}"
