"""Writing letters: taking one in from a folder, publishing it, giving it out again."""

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from petition.core import audit_log, email_addresses, encryption
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.errors import Gone, ImportRefused, NotFound, PetitionError, Refused
from petition.core.ids import LetterId, OrganizerId
from petition.drafts import draft_fields, draft_queries, folder, pictures, preview_link_queries, store
from petition.drafts.draft_fields import LetterFrame
from petition.drafts.folder import LetterFolder
from petition.drafts.store import Draft
from petition.letters import markdown, queries, sensitivity
from petition.letters.model import Sharing, State, Text, digest_of

# What a published letter's folder cannot change, by its key.
TOO_LATE = {
    "names_in_search": "cannot be switched on once the letter has opened",
    "publish_at_number": "can only be raised once the letter has opened",
    "publish_at_date": "can only be moved to a later time once the letter has opened",
    "names_until": "can only become earlier once the letter has opened",
    "names_days": "can only become fewer once the letter has opened",
}


async def import_folder(
    database: Database, wrapper: Wrapper, path: Path, languages: Collection[str], *, publish: bool = False
) -> tuple[str, int | None]:
    """Take in the letter in ``path``, new or known by its slug, as the draft.

    With ``publish`` readers see it: all of it happens, or nothing. Return its slug and the number of the version that
    was made, None if none was.

    Readers of a published letter go on seeing what they see until it is published. Raises ``ImportRefused``, ``Gone``,
    and what publishing raises.
    """
    source = folder.read(path, languages)
    async with database.transaction() as conn:
        row = await queries.by_slug(conn, source.slug, lock=True)
        _check_not_gone(row)
        if row is None:
            await add(conn, wrapper, source.slug)
            row = await _locked(conn, source.slug)
        draft = await store.load(conn, row, languages)
        fields = await _fields(conn, row["id"], source, languages)
        changes = {name: fields[name] for name in draft_fields.changed(draft.fields, fields)}
        try:
            await store.write(conn, draft, changes, None)
        except Refused as refused:
            problem = f"letter.toml: {refused.field}: {TOO_LATE[refused.field]}"
            raise ImportRefused(f"{path} cannot be imported", (problem,)) from None
        if source.sensitive:  # never the other way: that needs an owner
            await sensitivity.set_sensitive(conn, None, row["id"], sensitive=True, command=True)
        await audit_log.record(conn, None, row["id"], "letter.import", command=True)
        return source.slug, await publish_in(conn, source.slug) if publish else None


async def _fields(
    conn: Connection, letter_id: LetterId, source: LetterFolder, languages: Collection[str]
) -> dict[str, str]:
    """Return every field as the folder has it; its pictures are kept."""
    shared: dict[str, Sharing] = {}
    for lang in languages:
        number = None
        if lang in source.pictures:
            kind, content = source.pictures[lang]
            number = pictures.number_of(content)
            await draft_queries.add_picture(conn, letter_id, number, kind, content)
        shared[lang] = Sharing(source.sharing.get(lang, ""), number, source.picture_alt.get(lang, ""))
    surrounding = {name: getattr(source, name) for name in draft_fields.FRAME}
    return draft_fields.written(LetterFrame(**surrounding, sharing=shared), source.texts, languages)


async def add(conn: Connection, wrapper: Wrapper, slug: str) -> LetterId:
    """Add an empty draft with keys of its own; return its id. Raises ``SlugTaken``."""
    keys = wrapper.wrap(encryption.new_key()), wrapper.wrap(encryption.new_key())
    return await queries.add(conn, slug, (None, None, False), keys, email_addresses.NEWEST)


async def publish(database: Database, slug: str, note: Mapping[str, str] | None = None) -> int | None:
    """Make the draft what readers see, a letter never published opens; return the new version's number.

    None if the text is the current version's already. ``note`` says in each language why it changed. Raises
    ``NotFound``; ``PetitionError`` if there is no text, or the letter is closed.
    """
    async with database.transaction() as conn:
        return await publish_in(conn, slug, note)


async def publish_in(conn: Connection, slug: str, note: Mapping[str, str] | None = None) -> int | None:
    """Do the same in this transaction."""
    row = await _locked(conn, slug)
    return await publish_draft(conn, row, await store.load(conn, row), note or {}, None)


async def publish_draft(
    conn: Connection, row: Record, draft: Draft, note: Mapping[str, str], actor_id: OrganizerId | None
) -> int | None:
    """Make ``draft`` what readers of the letter in ``row`` (locked) see; return the new version's number, if any.

    Raises ``PetitionError`` if there is no text, or the letter is closed.
    """
    letter, before = row["id"], row["version"] or 0
    if row["state"] not in {"draft", "open"}:
        raise PetitionError(f"the letter {row['slug']} is {row['state']}; its text stays as it is")
    if not draft.texts:
        raise PetitionError(f"the letter {row['slug']} has no text yet")
    if surrounding := [name for name in draft.changes if not name.startswith(("title.", "text."))]:
        await store.settle(conn, draft)
        summary = "+".join(sorted({name.partition(".")[0] for name in surrounding}))
        await audit_log.record(conn, actor_id, letter, "letter.frame", after=summary, command=actor_id is None)
    number = await _new_version(conn, letter, before, draft, note)
    if number is not None:
        summary = str(number)
        await audit_log.record(
            conn, actor_id, letter, "letter.publish", before=str(before), after=summary, command=actor_id is None
        )
    if surrounding or number is not None:
        await preview_link_queries.drop_published(conn, letter)
    return number


async def _new_version(
    conn: Connection, letter_id: LetterId, before: int, draft: Draft, note: Mapping[str, str]
) -> int | None:
    texts, number = draft.texts, before + 1
    digest = digest_of(texts)
    if before and (await queries.version(conn, letter_id, before)).digest == digest:
        return None
    rendered = await asyncio.to_thread(_formatted, texts)  # one that was made to hurt takes many seconds
    await queries.add_version(conn, letter_id, number, digest, rendered, note)
    await queries.publish(conn, letter_id, number)
    return number


def _formatted(texts: Mapping[str, tuple[str, str]]) -> dict[str, Text]:
    return {lang: Text(title, source, markdown.to_html(source)) for lang, (title, source) in texts.items()}


async def export_folder(database: Database, slug: str, path: Path) -> None:
    """Write the letter as a folder: the draft, and what surrounds it. Raises ``NotFound``."""
    async with database.connection() as conn:
        row = await queries.by_slug(conn, slug)
        if row is None:
            raise NotFound(f"there is no letter {slug}")
        _check_not_gone(row)
        draft = await store.load(conn, row)
        stored = {
            entry["id"]: (entry["type"], entry["content"]) for entry in await draft_queries.pictures(conn, row["id"])
        }
    frame = draft.frame
    shared = frame.sharing
    letter = LetterFolder(
        slug=slug,
        **{name: getattr(frame, name) for name in draft_fields.FRAME},
        sharing={lang: entry.text for lang, entry in shared.items() if entry.text},
        picture_alt={lang: entry.alt for lang, entry in shared.items() if entry.alt},
        sensitive=row["sensitive"],
        texts=draft.texts,
        pictures={lang: stored[entry.picture_id] for lang, entry in shared.items() if entry.picture_id in stored},
    )
    folder.write(letter, path)


async def number_of(conn: Connection, slug: str) -> LetterId:
    """Return a letter's id. Raises ``NotFound``, ``Gone``."""
    row = await queries.by_slug(conn, slug)
    if row is None:
        raise NotFound(f"there is no letter {slug}")
    _check_not_gone(row)
    return LetterId(row["id"])


async def _locked(conn: Connection, slug: str) -> Record:
    row = await queries.by_slug(conn, slug, lock=True)
    if row is None:
        raise NotFound(f"there is no letter {slug}")
    _check_not_gone(row)
    return row


def _check_not_gone(row: Record | None) -> None:
    if row is not None and row["state"] == State.GONE:
        raise Gone(f"the letter {row['slug']} was taken down; its short name is not used again")
