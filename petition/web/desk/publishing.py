"""Publishing: what is missing, what changes for readers, and why."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.responses import Response

from petition.core.database import Connection, Record
from petition.core.errors import Refused, Taken
from petition.core.i18n import N_
from petition.core.text_cleaning import has_hidden
from petition.drafts import checklist, creating, draft_fields, draft_queries, opening, publishing, saving, store
from petition.drafts.store import Draft
from petition.letters import markdown, plain_text, text_diff
from petition.letters.model import Text
from petition.web import http
from petition.web.desk import draft_page
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view, read_time
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

MAX_NOTE = 1000  # characters

CLOSED = N_("The letter takes no more signatures. What readers see stays as it is.")
MISSING = N_("Something is missing. Check the list.")
CHANGED = N_("Someone else has changed the draft in the meantime. This is what would be published now; check it again.")
NO_NOTE = N_("Explain in each language why the text changes. Readers will see it.")
LONG_NOTE = N_("The explanation can have at most 1000 characters.")


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        draft = await _load(visit, await saving.letter_row(conn, visit.letter.slug), conn)
        publish_at = await draft_queries.scheduled(conn, visit.letter.id)
    findings = checklist.findings(draft, datetime.now(UTC))
    surrounding = [name for name in draft.changes if not _is_text(name)]
    return desk_page(
        visit,
        "desk/writing/publish.html",
        status=409 if "draft" in errors else None,
        errors=errors,
        draft=draft,
        digest=draft_fields.digest_of_all(draft.fields),
        findings=findings,
        blocked=any(finding.blocks for finding in findings),
        closed=visit.letter.state not in {"draft", "open"},
        texts=await asyncio.to_thread(_text_changes, draft),  # takes seconds for a text written to be slow to compare
        surrounding=[(name, *_before_and_after(draft, name)) for name in surrounding],
        labels=draft_page.LABELS,
        with_note=needs_note(draft),
        form=form,
        max_note=MAX_NOTE,
        publish_at=publish_at,
        done=visit.query.get("done") == "1" and not draft.changes,
        draft_done=visit.query.get("done"),
    )


@form_view(show)
async def publish(visit: DeskVisit, form: Form) -> Response:
    """Publish exactly what the page has shown, and only once."""
    published = http.redirect(visit.letter_path("publish?done=1"))
    async with visit.database.transaction() as conn:
        row = await saving.locked_row(conn, visit.letter.slug)
        draft = await _load(visit, row, conn)
        if form.get("draft") != draft_fields.digest_of_all(draft.fields):
            if draft.published and not draft.changes:  # a second click: it is published already
                return published
            raise Refused(CHANGED, "draft")
        check(draft, str(row["effective_state"]))
        await publishing.publish_draft(conn, row, draft, _note(draft, form), visit.organizer.id)
    return published


@form_view(show)
async def schedule(visit: DeskVisit, form: Form) -> Response:
    """Have the letter open at a time, or cancel that."""
    at = None if form.get("act") == "cancel" else read_time(visit, form, "publish_at")
    async with visit.database.transaction() as conn:
        row = await saving.locked_row(conn, visit.letter.slug)
        if at is not None:
            check(await _load(visit, row, conn), str(row["effective_state"]))
        await opening.schedule(conn, visit.actor, at)
    return http.redirect(visit.letter_path(f"publish?done={'scheduled' if at else 'unscheduled'}"))


@form_view(show)
async def rename(visit: DeskVisit, form: Form) -> Response:
    """Change the address of a letter that no reader knows yet."""
    slug = form.get("slug", "").strip().lower()
    try:
        async with visit.database.transaction() as conn:
            await creating.rename(conn, visit.actor, slug)
    except Taken:
        raise Refused(creating.TAKEN_SLUG, "slug") from None
    return http.redirect(f"/organizer/{slug}/publish?done=renamed")


async def _load(visit: DeskVisit, row: Record, conn: Connection) -> Draft:
    return await store.load(conn, row, visit.languages)


def check(draft: Draft, state: str) -> None:
    """Raise ``Refused`` if the letter cannot be published as it is."""
    if state not in {"draft", "open"}:
        raise Refused(CLOSED)
    if any(finding.blocks for finding in checklist.findings(draft, datetime.now(UTC))):
        raise Refused(MISSING)


def _is_text(name: str) -> bool:
    return name.startswith(("title.", "text."))


def needs_note(draft: Draft) -> bool:
    """Return whether readers need an explanation: they have read another text."""
    return draft.published and any(map(_is_text, draft.changes))


def _note(draft: Draft, form: Mapping[str, str]) -> dict[str, str]:
    """Return the explanation in each language of the letter. Raises ``Refused``."""
    if not needs_note(draft):
        return {}
    note = {lang: " ".join(form.get(f"note.{lang}", "").split()) for lang in draft.texts}
    for lang, text in note.items():
        if not text or has_hidden(text):
            raise Refused(NO_NOTE, f"note.{lang}")
        if len(text) > MAX_NOTE:
            raise Refused(LONG_NOTE, f"note.{lang}")
    return note


def _before_and_after(draft: Draft, name: str) -> tuple[draft_page.FieldValue, draft_page.FieldValue]:
    return draft_page.field_value(name, draft.published_fields[name]), draft_page.field_value(name, draft.fields[name])


def _text_changes(draft: Draft) -> dict[str, list[text_diff.Block]]:
    """Return what changes in each language's text, word by word; nothing for a letter that no reader knows yet."""
    changes = {}
    for lang in draft.languages if draft.published else ():
        old, new = _text(draft.published_fields, lang), _text(draft.fields, lang)
        if old != new:
            changes[lang] = text_diff.changes(*plain_text.plain_pair(old, new))
    return changes


def _text(fields: Mapping[str, str], lang: str) -> Text:
    source = fields[f"text.{lang}"]
    return Text(fields[f"title.{lang}"], source, markdown.to_html(source))
