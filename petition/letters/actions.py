"""Writing letters: taking one in from a folder, publishing it, giving it out again."""

from collections.abc import Collection, Mapping
from pathlib import Path

from petition import mailboxes, sealing
from petition.database import Connection, Database, Record
from petition.errors import Gone, NotFound, PetitionError
from petition.letters import folder, markdown, queries
from petition.letters.model import State, Text, digest_of
from petition.sealing import Wrapper


async def import_folder(
    database: Database, wrapper: Wrapper, path: Path, languages: Collection[str], *, publish: bool = False
) -> tuple[str, int | None]:
    """Take in the letter in ``path``, new or known by its slug, as the text being written.

    With ``publish`` readers see it: all of it happens, or nothing. Return its slug and the number of the version that
    was made, None if none was.

    Readers of a published letter go on seeing its current version until it is published, but see new parties, goal
    and closing time at once. Raises ``ImportRefused``, and what publishing raises.
    """
    found = folder.read(path, languages)
    async with database.transaction() as conn:
        row = await queries.by_slug(conn, found.slug, lock=True)
        _check_not_gone(row)
        frame = found.goal, found.closes_at, found.names_in_search
        if row is None:
            letter = await _add(conn, wrapper, found.slug, frame)
        else:
            letter = row["id"]
            await queries.set_frame(conn, letter, *frame)
        await queries.set_parties(conn, letter, found.initiators, found.addressees)
        await queries.set_translations(conn, letter, found.texts)
        return found.slug, await publish_in(conn, found.slug) if publish else None


async def _add(conn: Connection, wrapper: Wrapper, slug: str, frame: tuple[object, ...]) -> int:
    keys = wrapper.wrap(sealing.new_key()), wrapper.wrap(sealing.new_key())
    return await queries.add(conn, slug, frame, keys, mailboxes.NEWEST)


async def publish(database: Database, slug: str, note: Mapping[str, str] | None = None) -> int | None:
    """Make the text being written the one that readers see, a draft opens; return the new version's number.

    None if the text is the current version's already. ``note`` says in each language why it changed. Raises
    ``NotFound``; ``PetitionError`` if there is no text, or the letter is closed.
    """
    async with database.transaction() as conn:
        return await publish_in(conn, slug, note)


async def publish_in(conn: Connection, slug: str, note: Mapping[str, str] | None = None) -> int | None:
    """Do the same in this transaction."""
    row = await _locked(conn, slug)
    if row["state"] not in {"draft", "open"}:
        raise PetitionError(f"the letter {slug} is {row['state']}; its text stays as it is")
    texts = await queries.translations(conn, row["id"])
    if not texts:
        raise PetitionError(f"the letter {slug} has no text yet")
    digest = digest_of(texts)
    number = row["version"] or 0
    if number and (await queries.version(conn, row["id"], number)).digest == digest:
        return None
    made = {lang: Text(title, source, markdown.to_html(source)) for lang, (title, source) in texts.items()}
    await queries.add_version(conn, row["id"], number + 1, digest, made, note or {})
    await queries.publish(conn, row["id"], number + 1)
    return number + 1


async def export_folder(database: Database, slug: str, path: Path) -> None:
    """Write the letter as a folder: the text being written, and what surrounds it. Raises ``NotFound``."""
    async with database.connection() as conn:
        row = await queries.by_slug(conn, slug)
        if row is None:
            raise NotFound(f"there is no letter {slug}")
        _check_not_gone(row)
        initiators, addressees = await queries.parties(conn, row["id"])
        texts = await queries.translations(conn, row["id"])
    letter = folder.LetterFolder(
        slug=slug,
        goal=row["goal"],
        closes_at=row["closes_at"],
        names_in_search=row["names_in_search"],
        initiators=initiators,
        addressees=addressees,
        texts=texts,
    )
    folder.write(letter, path)


async def number_of(conn: Connection, slug: str) -> int:
    """Return a letter's id. Raises ``NotFound``, ``Gone``."""
    row = await queries.by_slug(conn, slug)
    if row is None:
        raise NotFound(f"there is no letter {slug}")
    _check_not_gone(row)
    return int(row["id"])


async def _locked(conn: Connection, slug: str) -> Record:
    row = await queries.by_slug(conn, slug, lock=True)
    if row is None:
        raise NotFound(f"there is no letter {slug}")
    _check_not_gone(row)
    return row


def _check_not_gone(row: Record | None) -> None:
    if row is not None and row["state"] == State.GONE:
        raise Gone(f"the letter {row['slug']} was taken down; its short name is not used again")
