"""A new letter: its short name, its first title, its owner."""

from collections.abc import Mapping

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import Wrapper
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId
from petition.drafts import draft_fields, draft_queries, publishing, store
from petition.drafts.slugs import RESERVED, problem_of_slug, suggested
from petition.letters import queries
from petition.letters.model import SlugTaken
from petition.organizers import member_queries
from petition.organizers.model import Role

LETTERS_A_DAY = 50  # of one organizer
DATES = ("closes_at", "publish_at_date")  # a copy has none

NO_TITLE = N_("Enter a title in at least one language.")
NO_SLUG = N_("Choose an address.")
BAD_SLUG = N_("An address has 3 to 64 characters: a to z, 0 to 9 and hyphens.")
RESERVED_SLUG = N_("This address is reserved. Choose another one.")
TAKEN_SLUG = N_("This address is taken. Choose another one.")
KNOWN_SLUG = N_("The letter has been published: its address cannot change any more.")
TOO_MANY = N_("You have started many letters today. Start more tomorrow.")


async def problem_of(conn: Connection, slug: str) -> str | None:
    """Return what keeps a new letter from having this short name, for the catalogues."""
    if not slug:
        return NO_SLUG
    if problem_of_slug(slug):
        return RESERVED_SLUG if slug in RESERVED else BAD_SLUG
    return TAKEN_SLUG if await queries.by_slug(conn, slug) else None


async def free_slug(conn: Connection, title: str) -> str:
    """Return a short name for a title that no letter has yet, or "" if its words make none."""
    base = suggested(title)
    for number in range(1, 20):
        slug = base if number == 1 else f"{base}-{number}"
        if not base or await problem_of(conn, slug) is None:
            return slug if base else ""
    return ""


async def slug_of_copy(conn: Connection, source: Record, titles: Mapping[str, str]) -> str:
    """Return a short name for a copy, which its writers can still change. Raises ``Refused`` if none is free."""
    title = next(filter(None, titles.values()), "")
    slug = await free_slug(conn, title) or await free_slug(conn, f"{source['slug']} copy")
    if not slug:
        raise Refused(TAKEN_SLUG)
    return slug


async def make(
    conn: Connection,
    wrapper: Wrapper,
    actor_id: OrganizerId,
    slug: str,
    titles: Mapping[str, str],
    languages: tuple[str, ...],
) -> LetterId:
    """Add a draft owned by ``actor_id``; return its id. Raises ``Refused``, its field ``slug`` or ``title.en``, …"""
    fields = {f"title.{lang}": title for lang, title in _checked(titles, languages).items()}
    if not any(fields.values()):
        raise Refused(NO_TITLE, f"title.{languages[0]}")
    if problem := await problem_of(conn, slug):
        raise Refused(problem, "slug")
    try:
        letter = await publishing.add(conn, wrapper, slug)
    except SlugTaken:
        raise Refused(TAKEN_SLUG, "slug") from None
    row = await queries.by_slug(conn, slug, lock=True)
    if row is None:
        raise LookupError("a letter that was just added is gone")
    draft = await store.load(conn, row, languages)
    await store.write(conn, draft, {name: fields[name] for name in fields if fields[name]}, actor_id)
    await member_queries.join(conn, letter, actor_id, Role.OWNER)
    await audit_log.record(conn, actor_id, letter, "letter.make")
    return letter


async def rename(conn: Connection, actor: Actor, slug: str) -> None:
    """Change the short name of a letter that was never published. Raises ``Refused``, its field ``slug``."""
    if problem := await problem_of(conn, slug):
        raise Refused(problem, "slug")
    if not await draft_queries.rename(conn, actor.letter_id, slug):
        raise Refused(KNOWN_SLUG, "slug")
    await audit_log.record_by(conn, actor, "letter.rename", ids=[])


async def copy(conn: Connection, wrapper: Wrapper, actor: Actor, source: Record, languages: tuple[str, ...]) -> str:
    """Return the short name of a new draft, owned by the actor, with all that the letter in ``source`` says.

    Dates, signatures, members and updates stay with the first letter. Raises ``Refused``.
    """
    if actor.organizer_id is None:
        raise LookupError("only an organizer copies a letter")
    original = await store.load(conn, source, languages)
    titles = {lang: original.fields[f"title.{lang}"] for lang in languages}
    slug = await slug_of_copy(conn, source, titles)
    letter_id = await make(conn, wrapper, actor.organizer_id, slug, titles, languages)
    await draft_queries.copy_pictures(conn, actor.letter_id, letter_id)
    row = await queries.by_slug(conn, slug, lock=True)
    if row is None:
        raise LookupError("a letter that was just added is gone")
    draft = await store.load(conn, row, languages)
    fields = {**original.fields, **dict.fromkeys(DATES, "")}
    changes = {name: fields[name] for name in draft_fields.changed(draft.fields, fields)}
    await store.write(conn, draft, changes, actor.organizer_id)
    await audit_log.record_by(conn, actor, "letter.copy", ids=[])
    return slug


def _checked(titles: Mapping[str, str], languages: tuple[str, ...]) -> dict[str, str]:
    matches = {}
    for lang in languages:
        try:
            matches[lang] = draft_fields.checked("title", titles.get(lang, ""))
        except Refused as refused:
            raise Refused(refused.message, f"title.{lang}") from None
    return matches
