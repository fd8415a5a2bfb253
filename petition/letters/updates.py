"""Updates on a letter: written in the languages of the site, published, edited in the open, removed, brought back."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Database, Record
from petition.core.errors import Gone, NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId, UpdateId
from petition.core.text_cleaning import clean, has_direction_mark, has_hidden
from petition.letters import markdown
from petition.letters import update_queries as queries
from petition.letters.model import Text

DRAFT, PUBLISHED, REMOVED = "draft", "published", "removed"
MAX_TITLE = 200  # characters
MAX_MARKDOWN = 20_000  # characters of Markdown in one language

NO_TITLE = N_("Enter a title.")
NO_TEXT = N_("Write something under the title.")
NOTHING = N_("Write it in at least one language.")
LONG_TITLE = N_("Too long: use at most 200 characters.")
LONG_TEXT = N_("Too long: use at most 20,000 characters.")
HIDDEN = N_("There is a hidden character here. Type the text instead of pasting it.")
CHANGED = N_(
    "Someone else changed this update while you were writing. Your text is in the form, theirs "
    "is below it. Press the button again to replace theirs with yours."
)
NOT_YET = N_("Readers will see updates once the letter is published.")
NOT_SO = N_("Someone else changed this first. This is how it is now.")

Texts = dict[str, dict[str, str]]  # language → {"title": …, "markdown": …}


def texts_in(form: Mapping[str, str], languages: Collection[str]) -> tuple[Texts, dict[str, str]]:
    """Return what was typed by language, and what is wrong with it, by field of the form."""
    texts: Texts = {}
    errors: dict[str, str] = {}
    for lang in languages:
        title = clean(form.get(f"title_{lang}", ""))
        body = markdown.trimmed(form.get(f"text_{lang}", "").replace("\r\n", "\n").replace("\r", "\n"))
        if not title and not body:
            continue
        texts[lang] = {"title": title, "markdown": body}
        if problem := _problem_of_title(title):
            errors[f"title_{lang}"] = problem
        if problem := _problem_of_text(body):
            errors[f"text_{lang}"] = problem
    if not texts:
        errors[f"title_{next(iter(languages))}"] = NOTHING
    return texts, errors


def _problem_of_title(title: str) -> str | None:
    if not title:
        return NO_TITLE
    if len(title) > MAX_TITLE:
        return LONG_TITLE
    return HIDDEN if has_hidden(title) or has_direction_mark(title) else None


def _problem_of_text(body: str) -> str | None:
    if not body:
        return NO_TEXT
    if len(body) > MAX_MARKDOWN:
        return LONG_TEXT
    return HIDDEN if has_hidden(body.replace("\n", "").replace("\t", "")) else None


def rendered(texts: Texts) -> dict[str, Text]:
    """Return the texts with their HTML, sanitized as a letter's is."""
    return {
        lang: Text(text["title"], text["markdown"], markdown.to_html(text["markdown"])) for lang, text in texts.items()
    }


async def add(conn: Connection, actor_id: OrganizerId, letter_id: LetterId, texts: Texts) -> UpdateId:
    """Store a draft; return its id. Raises ``Gone``."""
    number = await queries.add(conn, letter_id, texts)
    if number is None:
        raise Gone("the letter was taken down")
    await audit_log.record(conn, actor_id, letter_id, "update.add", ids=[number], after=DRAFT)
    return number


async def save(
    conn: Connection,
    actor_id: OrganizerId,
    letter_id: LetterId,
    update_id: UpdateId,
    revision: int,
    texts: Texts,
    *,
    publish: bool = False,
) -> None:
    """Store the texts; readers get it if the update is published, or is by this.

    Raises ``NotFound``; ``Refused`` if it has changed since.
    """
    row = await _lock(conn, letter_id, update_id)
    if row["revision"] != revision or row["state"] == REMOVED:
        raise Refused(CHANGED, "first")
    after = PUBLISHED if publish else row["state"]
    displayed: dict[str, Any] | None = row["shown"]
    if after == PUBLISHED:
        displayed = {lang: asdict(text) for lang, text in (await asyncio.to_thread(rendered, texts)).items()}
    edited = row["published_at"] is not None and displayed != row["shown"]
    if (row["texts"], row["state"]) == (texts, after):
        return
    await _write(conn, actor_id, row, letter_id, (texts, displayed, after), edited=edited)


async def schedule(conn: Connection, actor: Actor, update_id: UpdateId, at: datetime | None) -> None:
    """Have a draft published at ``at``, as it is then; None cancels. Raises ``NotFound``, ``Refused``."""
    await _lock(conn, actor.letter_id, update_id)
    if not await queries.schedule(conn, actor.letter_id, update_id, at, actor.organizer_id):
        raise Refused(NOT_SO, "first")
    act = "update.schedule" if at else "update.unschedule"
    await audit_log.record_by(conn, actor, act, ids=[update_id])


async def publish_due(database: Database) -> int:
    """Publish the updates whose time has come; return how many."""
    async with database.connection() as conn:
        due = await queries.due(conn)
    return sum([await _publish(database, letter_id, update_id) for letter_id, update_id in due])


async def _publish(database: Database, letter_id: LetterId, update_id: UpdateId) -> bool:
    try:
        async with database.transaction() as conn:
            row = await _lock(conn, letter_id, update_id)
            if row["publish_at"] is None or row["publish_at"] > datetime.now(UTC):
                return False  # another worker has published it, or an organizer has changed the time
            texts: Texts = row["texts"]
            displayed = {lang: asdict(text) for lang, text in (await asyncio.to_thread(rendered, texts)).items()}
            await _write(conn, row["publish_by"], row, letter_id, (texts, displayed, PUBLISHED), edited=False)
    except NotFound:  # removed with its letter in this moment
        return False
    return True


async def move(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, update_id: UpdateId, revision: int, *, back: bool
) -> None:
    """Remove an update, or bring it back to where it was. Raises ``NotFound``, ``Refused``."""
    row = await _lock(conn, letter_id, update_id)
    if row["revision"] != revision or (row["state"] == REMOVED) is not back:
        raise Refused(NOT_SO, "first")
    former = PUBLISHED if row["published_at"] is not None else DRAFT
    await _write(
        conn, actor_id, row, letter_id, (row["texts"], row["shown"], former if back else REMOVED), edited=False
    )


async def _lock(conn: Connection, letter_id: LetterId, update_id: UpdateId) -> Record:
    row = await queries.one(conn, letter_id, update_id, lock=True)
    if row is None:
        raise NotFound("there is no such update")
    return row


async def _write(
    conn: Connection,
    actor_id: OrganizerId,
    row: Record,
    letter_id: LetterId,
    now: tuple[Texts, dict[str, Any] | None, str],
    *,
    edited: bool,
) -> None:
    texts, displayed, after = now
    await queries.write(conn, letter_id, row["id"], texts, displayed, after, edited=edited)
    act = "update.edit" if after == row["state"] else f"update.{'back' if row['state'] == REMOVED else after}"
    await audit_log.record(conn, actor_id, letter_id, act, ids=[row["id"]], before=row["state"], after=after)
    if PUBLISHED in {row["state"], after}:
        await queries.move_revision(conn, letter_id, purge=row["state"] == PUBLISHED)
