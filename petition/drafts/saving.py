"""Saving a draft that others may be writing at the same time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from petition.core import audit_log
from petition.core.database import Connection, Record
from petition.core.errors import Gone, NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import OrganizerId
from petition.drafts import draft_fields, draft_form, draft_queries, pictures, store
from petition.drafts.draft_form import Typed
from petition.drafts.store import Draft
from petition.letters import queries
from petition.letters.model import State

SITTING = timedelta(minutes=10)  # edits of one field by one organizer within it are one act

OTHER_PICTURE = N_("Someone else has chosen another picture in the meantime: this one. Send yours again to replace it.")


@dataclass
class Saved:
    """What became of a form."""

    draft: Draft  # as it is now
    typed: Typed
    conflicts: Mapping[str, str] = field(default_factory=dict)  # field → theirs
    wrote: bool = False

    @property
    def fresh(self) -> dict[str, str]:
        """The fields that now differ from the form: written by others, or theirs by choice."""
        names = self.typed.seen.keys() - self.typed.problems.keys() - self.conflicts.keys()
        return {
            name: self.draft.fields[name] for name in names if self.typed.values.get(name) != self.draft.fields[name]
        }

    @property
    def seen(self) -> dict[str, str]:
        """The state of each field that the sender of the form has now seen."""
        names = self.typed.seen.keys() - self.typed.problems.keys()
        return {name: draft_fields.digest(self.draft.fields[name]) for name in names}


async def locked_row(conn: Connection, slug: str) -> Record:
    """Return a letter's row, locked. Raises ``NotFound``, ``Gone``."""
    return _there(await queries.by_slug(conn, slug, lock=True))


async def letter_row(conn: Connection, slug: str) -> Record:
    """Return a letter's row. Raises ``NotFound``, ``Gone``."""
    return _there(await queries.by_slug(conn, slug))


def _there(row: Record | None) -> Record:
    if row is None:
        raise NotFound("there is no such letter")
    if row["state"] == State.GONE:
        raise Gone("the letter was taken down")
    return row


async def save(
    conn: Connection,
    row: Record,
    actor_id: OrganizerId,
    languages: tuple[str, ...],
    form: Mapping[str, str],
    uploaded: Mapping[str, tuple[str, bytes]],
) -> Saved:
    """Write what a form says into the draft of the letter in ``row`` (locked).

    ``uploaded`` are the pictures sent along, by language. A field that only this form changed is written, one that a
    colleague changed too is a conflict, an impossible value is a problem; the rest is saved all the same.
    """
    draft = await store.load(conn, row, languages)
    typed = draft_form.read(form, draft.fields, languages)
    chosen_pictures = await _pictures(conn, draft, typed, form, uploaded)
    merged = draft_fields.merge(
        draft.fields, {**typed.values, **chosen_pictures}, typed.seen | _seen_pictures(form, chosen_pictures)
    )
    conflicts = dict(merged.conflicts)
    for name in [name for name in conflicts if name in chosen_pictures]:
        typed.problems[name] = OTHER_PICTURE
        del conflicts[name]
    write = _possible(draft, dict(merged.write), typed)
    if write:
        await store.write(conn, draft, write, actor_id)
        await _note(conn, draft, write, actor_id)
        draft = await store.load(conn, await locked_row(conn, row["slug"]), languages)
    if uploaded:  # a picture that lost a conflict is not kept
        await draft_queries.drop_unused_pictures(conn, row["id"])
    return Saved(draft, typed, conflicts, bool(write))


async def _pictures(
    conn: Connection,
    draft: Draft,
    typed: Typed,
    form: Mapping[str, str],
    uploaded: Mapping[str, tuple[str, bytes]],
) -> dict[str, str]:
    """Return the picture fields that the form changes; uploaded ones are stored."""
    changed = {f"picture.{lang}": "" for lang in draft.languages if f"drop.picture.{lang}" in form}
    for lang, (kind, content) in uploaded.items():
        number = pictures.number_of(content)
        await draft_queries.add_picture(conn, draft.letter_id, number, kind, content)
        changed[f"picture.{lang}"] = str(number)
    return changed


def _seen_pictures(form: Mapping[str, str], chosen_pictures: Mapping[str, str]) -> dict[str, str]:
    return {name: form.get(f"seen.{name}", "") for name in chosen_pictures}


def _possible(draft: Draft, write: dict[str, str], typed: Typed) -> dict[str, str]:
    """Leave out what cannot stand together with the rest, or any more."""
    try:
        draft_fields.check_goals({**draft.fields, **write})
    except Refused as refused:
        if write.keys() & {"goal", "next_goals"}:
            typed.problems[refused.field] = refused.message
            write = {name: value for name, value in write.items() if name not in {"goal", "next_goals"}}
    for name, message in store.broken_promises(draft, write).items():
        typed.problems[name] = message
        write.pop(name)
    for check in (store.check_publish_at, store.check_publish_at):
        try:
            check(draft, write)
        except Refused as refused:
            typed.problems[refused.field] = refused.message
            write.pop(refused.field)
    return write


async def _note(conn: Connection, draft: Draft, write: Mapping[str, str], actor_id: OrganizerId) -> None:
    """Write one row of the log for a sitting, not for each time that a script saves."""
    since = datetime.now(UTC) - SITTING
    before = draft.edits
    new = [
        name
        for name in write
        if not (name in before and before[name].organizer_id == actor_id and before[name].at > since)
    ]
    if new:
        summary = "+".join(sorted({name.partition(".")[0] for name in new}))
        await audit_log.record(conn, actor_id, draft.letter_id, "letter.write", after=summary)
