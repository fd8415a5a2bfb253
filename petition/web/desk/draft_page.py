"""What the pages of writing share: names of fields, values as people read them, the preview's address, pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from petition.core.database import Record
from petition.core.i18n import N_
from petition.drafts import draft_fields
from petition.web import http
from petition.web.desk.visit import DeskVisit

PREVIEW_DAYS = 30

LABELS: Mapping[str, str] = {
    "title": N_("Title"),
    "text": N_("Text"),
    "sharing": N_("Text for sharing"),
    "alt": N_("Picture description"),
    "picture": N_("Picture for sharing"),
    "goal": N_("Goal"),
    "next_goals": N_("Next goals"),
    "closes_at": N_("Closes"),
    "names_in_search": N_("Names visible to search engines"),
    "addressees": N_("Addressees"),
    "initiators": N_("Initiators"),
}


@dataclass(frozen=True, slots=True)
class Value:
    """A field's value for a template: ``kind`` says how it is shown."""

    kind: str  # empty, text, markdown, number, numbers, moment, yes, parties, picture
    shown: Any


def value(name: str, written: str) -> Value:
    """Return what a field holds, out of its canonical form."""
    base = name.partition(".")[0]
    if not written:
        return Value("empty", "")
    if base in draft_fields.PARTIES:
        return Value("parties", draft_fields.read_parties(written))
    if base == "closes_at":
        return Value("moment", datetime.fromisoformat(written).replace(tzinfo=UTC))
    if base in {"goal", "next_goals"}:
        return Value("numbers", [int(each) for each in written.split()])
    return Value({"names_in_search": "yes", "picture": "picture", "text": "markdown"}.get(base, "text"), written)


def preview_path(request: Request, who: DeskVisit, link: Record) -> str:
    """Return the address of a preview link, in the organizer's language."""
    services = http.services_of(request)
    token = services.tokens.for_preview(who.this.id, link["id"])
    return f"{services.settings.base_url}/{who.lang}/preview/{token}"
