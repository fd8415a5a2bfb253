"""The draft of a letter in the database: read, written by several hands, brought before readers.

Titles and texts stand in ``translation``; readers see a version of them. All else that a draft says otherwise than
readers see waits in ``edit`` until it is published. In a letter that never was published nothing has to wait.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId
from petition.drafts import draft_fields, draft_queries, letter_toml
from petition.drafts.draft_fields import LetterFrame
from petition.letters import addressee_queries, queries

SOONER = N_("People have signed trusting in this: it can only be raised, or moved to a later time.")
NOT_SEALED = N_("This can be chosen only before the letter opens.")
TOO_LATE = N_(
    "This can no longer be switched on: people chose “Everyone” when it did not include search "
    "engines. You can only switch it off."
)
NAMES_LONGER = N_("Names can only end earlier now: people were promised this when they signed.")


@dataclass(frozen=True, slots=True)
class Edit:
    """Who touched a field last, and when."""

    at: datetime
    organizer_id: OrganizerId | None  # None: a command, or an organizer who was removed
    name: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter as it is being written."""

    letter_id: LetterId
    languages: tuple[str, ...]
    published: bool  # was it ever?
    fields: Mapping[str, str]
    published_fields: Mapping[str, str]  # what readers see, or would see: of titles and texts, the current version's
    edits: Mapping[str, Edit]

    @property
    def last(self) -> Edit | None:
        return max(self.edits.values(), key=lambda edit: edit.at, default=None)

    @property
    def frame(self) -> LetterFrame:
        return draft_fields.read_frame(self.fields, self.languages)

    @property
    def texts(self) -> dict[str, tuple[str, str]]:
        """The text: language → (title, Markdown)."""
        return draft_fields.read_texts(self.fields, self.languages)

    @property
    def changes(self) -> list[str]:
        """The fields that readers see otherwise."""
        return list(draft_fields.changed(self.published_fields, self.fields))


async def load(conn: Connection, row: Record, languages: Collection[str] | None = None) -> Draft:
    """Return the draft of the letter in ``row``, in these languages; in all that it has if ``languages`` is None."""
    letter, version = row["id"], row["version"]
    texts = await queries.translations(conn, letter)
    current = (await queries.version(conn, letter, version)).texts if version else {}
    shown_texts = {lang: (text.title, text.markdown) for lang, text in current.items()}
    frame = await _frame(conn, row)
    edits = await draft_queries.edits(conn, letter)
    if languages is None:
        touched_in = {lang for edit in edits if (lang := edit["field"].partition(".")[2])}
        languages = sorted({*texts, *shown_texts, *frame.sharing, *touched_in})
    published = draft_fields.written(frame, shown_texts, languages)
    waiting = {edit["field"]: edit["value"] for edit in edits if edit["value"] is not None}
    fields = draft_fields.written(frame, texts, languages) | {
        name: waiting[name] for name in published if name in waiting
    }
    touched = {edit["field"]: Edit(edit["at"], edit["organizer"], edit["name"]) for edit in edits}
    return Draft(letter, tuple(languages), version is not None, fields, published, touched)


async def _frame(conn: Connection, row: Record) -> LetterFrame:
    return LetterFrame(
        goal=row["goal"],
        next_goals=tuple(row["next_goals"]),
        opened_at=letter_toml.read_opening(row["opening"]) if row["opening"] else None,
        closes_at=row["closes_at"],
        names_in_search=row["names_in_search"],
        publish_at_number=row["publish_at_number"],
        publish_at_date=row["publish_at_date"],
        names_until=row["names_until"],
        names_days=row["names_days"],
        initiators=await queries.initiators(conn, row["id"]),
        addressees=await addressee_queries.parties(conn, row["id"]),
        sharing=await queries.sharing(conn, row["id"]),
    )


async def write(conn: Connection, draft: Draft, changes: Mapping[str, str], actor_id: OrganizerId | None) -> Draft:
    """Write fields (canonical) into the draft of a letter that is locked; return the draft as it is then.

    Raises ``Refused`` if signatories were promised otherwise.
    """
    if not changes:
        return draft
    for name, message in broken_promises(draft, changes).items():
        raise Refused(message, name)
    check_publish_at(draft, changes)
    fields = {**draft.fields, **changes}
    after = Draft(draft.letter_id, draft.languages, draft.published, fields, draft.published_fields, draft.edits)
    for lang in {name.partition(".")[2] for name in changes if name.startswith(("title.", "text."))}:
        text = fields[f"title.{lang}"], fields[f"text.{lang}"]
        await draft_queries.set_translation(conn, draft.letter_id, lang, text)
    await draft_queries.edit(conn, draft.letter_id, {name: _waiting(after, name) for name in changes}, actor_id)
    if not draft.published:
        await settle(conn, after)
    await draft_queries.drop_unused_pictures(conn, draft.letter_id)
    return after


def _waiting(draft: Draft, name: str) -> str | None:
    """Return what has to wait of a field: nothing if readers see it already, or the table of texts holds it."""
    return (
        None
        if name.startswith(("title.", "text.")) or draft.fields[name] == draft.published_fields[name]
        else draft.fields[name]
    )


def broken_promises(draft: Draft, changes: Mapping[str, str]) -> dict[str, str]:
    """Return the fields (with why not) whose change would break what those who have signed were promised.

    Names are not to appear in search engines afterwards, and to end no later than the letter said.
    """
    if not draft.published:
        return {}
    before = draft.published_fields
    broken = {}
    if changes.get("names_in_search") == draft_fields.YES != before["names_in_search"]:
        broken["names_in_search"] = TOO_LATE
    day, days = changes.get("names_until"), changes.get("names_days")
    if before["names_until"] and day is not None and not "" < day <= before["names_until"]:
        broken["names_until"] = NAMES_LONGER
    if before["names_days"] and days is not None and not 0 < int(days or 0) <= int(before["names_days"]):
        broken["names_days"] = NAMES_LONGER
    return broken


def check_publish_at(draft: Draft, changes: Mapping[str, str]) -> None:
    """Raise ``Refused`` if names would be shown sooner, or be sealed, other than signatories were promised."""
    if not draft.published:
        return
    for name in draft_fields.PUBLISH_AT:
        before, after = draft.published_fields[name], changes.get(name, draft.published_fields[name])
        if before != after and not _is_later(name, before, after):
            raise Refused(SOONER if before else NOT_SEALED, name)


def _is_later(name: str, before: str, after: str) -> bool:
    if not before or not after:
        return False
    if name == "publish_at_number":
        return int(after) > int(before)
    return datetime.fromisoformat(after) > datetime.fromisoformat(before)


async def settle(conn: Connection, draft: Draft) -> None:
    """Have readers see what surrounds the text as the draft has it."""
    frame = draft.frame
    values = frame.goal, frame.closes_at, frame.names_in_search, frame.next_goals, draft.fields["opened_at"] or None
    publish_at = frame.publish_at_number, frame.publish_at_date
    await queries.set_frame(conn, draft.letter_id, *values, publish_at)
    await queries.set_names_end(conn, draft.letter_id, frame.names_until, frame.names_days)
    await queries.set_initiators(conn, draft.letter_id, frame.initiators)
    await addressee_queries.set_parties(conn, draft.letter_id, frame.addressees)
    await queries.set_sharing(conn, draft.letter_id, frame.sharing)
    await draft_queries.settle(conn, draft.letter_id)
    await draft_queries.drop_unused_pictures(conn, draft.letter_id)
