"""Publishing: what is missing, what changes for readers, and why."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from petition.core.database import Connection, Record
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.text_cleaning import has_hidden
from petition.drafts import checklist, draft_fields, publishing, saving, store
from petition.drafts.store import Draft
from petition.letters import markdown, plain_text, text_diff
from petition.letters.model import Text
from petition.web import http
from petition.web.desk import draft_page, page
from petition.web.desk.visit import DeskVisit

MAX_NOTE = 1000  # characters

CLOSED = N_("The letter takes no more signatures. What readers see stays as it is.")
MISSING = N_("Something is missing. Check the list.")
CHANGED = N_("Someone else has changed the draft in the meantime. This is what would be published now; check it again.")
NO_NOTE = N_("Explain in each language why the text changes. Readers will see it.")
LONG_NOTE = N_("The explanation can have at most 1000 characters.")


async def show(request: Request, who: DeskVisit) -> Response:
    """Show what would be published, and what is missing."""
    async with http.services_of(request).database.connection() as conn:
        draft = await _draft(request, who, await saving.letter_row(conn, who.this.slug), conn)
    return await _page(request, who, draft, {}, None)


async def publish(request: Request, who: DeskVisit) -> Response:
    """Publish what the page has shown; nothing else, and only once."""
    form = await http.form_of(request)
    draft: Draft | None = None
    try:
        async with http.services_of(request).database.transaction() as conn:
            row = await saving.locked_row(conn, who.this.slug)
            draft = await _draft(request, who, row, conn)
            if form.get("draft") != draft_fields.digest_of_all(draft.fields):
                if draft.published and not draft.changes:  # a second click: it is done
                    return _done(who)
                raise Refused(CHANGED, "draft")
            check(draft, str(row["effective_state"]))
            note = _note(draft, form)
            await publishing.publish_draft(conn, row, draft, note, who.organizer.id)
    except Refused as refused:
        if draft is None:
            raise
        return await _page(request, who, draft, form, refused)
    return _done(who)


def _done(who: DeskVisit) -> Response:
    return http.redirect(f"/organizer/{who.this.slug}/publish?done=1")


async def _draft(request: Request, who: DeskVisit, row: Record, conn: Connection) -> Draft:
    return await store.load(conn, row, tuple(http.services_of(request).renderer.languages))


def check(draft: Draft, state: str) -> None:
    """Raise ``Refused`` if the letter cannot be published as it is."""
    if state not in {"draft", "open"}:
        raise Refused(CLOSED)
    if any(each.blocks for each in checklist.findings(draft, datetime.now(UTC))):
        raise Refused(MISSING)


def needs_note(draft: Draft) -> bool:
    """Tell whether readers are owed an explanation: they have read another text."""
    return draft.published and any(name.startswith(("title.", "text.")) for name in draft.changes)


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


async def _page(
    request: Request, who: DeskVisit, draft: Draft, form: Mapping[str, str], refused: Refused | None
) -> Response:
    findings = checklist.findings(draft, datetime.now(UTC))
    surrounding = [name for name in draft.changes if not name.startswith(("title.", "text."))]
    conflict = refused is not None and refused.field == "draft"
    return page.desk_page(
        request,
        who,
        "desk/writing/publish.html",
        (409 if conflict else 422) if refused else 200,
        draft=draft,
        digest=draft_fields.digest_of_all(draft.fields),
        findings=findings,
        blocked=any(each.blocks for each in findings),
        closed=who.this.state not in {"draft", "open"},
        texts=await asyncio.to_thread(_differences, draft),  # a text that was made to hurt takes many seconds
        surrounding=[(name, _both(draft, name)) for name in surrounding],
        labels=draft_page.LABELS,
        with_note=needs_note(draft),
        form=form,
        problem=http.language_of(request).gettext(refused.message) if refused else None,
        problem_at=refused.field if refused else None,
        longest_note=MAX_NOTE,
        done="done" in request.query_params and not draft.changes,
    )


def _both(draft: Draft, name: str) -> tuple[draft_page.Value, draft_page.Value]:
    return draft_page.value(name, draft.published_fields[name]), draft_page.value(name, draft.fields[name])


def _differences(draft: Draft) -> dict[str, list[text_diff.Block]]:
    """Return what changes in each language's text, word by word; only of a letter that readers know already."""
    found = {}
    for lang in draft.languages if draft.published else ():
        old, new = (_text(fields, lang) for fields in (draft.published_fields, draft.fields))
        if old != new:
            found[lang] = text_diff.changes(*plain_text.both(old, new))
    return found


def _text(fields: Mapping[str, str], lang: str) -> Text:
    source = fields[f"text.{lang}"]
    return Text(fields[f"title.{lang}"], source, markdown.to_html(source))
