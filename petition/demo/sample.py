"""The sample letter that a first demo publishes, and its organizer."""

import tomllib

from petition.core import database, i18n, resources
from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.ids import OrganizerId
from petition.core.settings import Settings
from petition.demo import peopling
from petition.drafts import publishing
from petition.letters import queries
from petition.organizers import accounts

ORGANIZER = "organizer@letters.example"  # whose mail, like all mail of the demo, lands in the demo's mailbox
FIRST_ORGANIZER = "SELECT min(id) FROM organizer"
FOLDER = resources.PACKAGE / "sample"


def slug() -> str:
    with (FOLDER / "letter.toml").open("rb") as file:
        name: str = tomllib.load(file)["slug"]
    return name


async def prepare_empty(url: str, settings: Settings) -> str:
    """Do what ``prepare`` does, without signatories."""
    return await prepare(url, settings, is_empty=True)


async def prepare(url: str, settings: Settings, *, is_empty: bool = False) -> str:
    """Migrate, and publish the sample letter with its signatories unless it is there: what was done to it stays done.

    Return the address of a one-time link to the desk for its organizer.
    """
    await database.migrate(url)
    async with database.opened(url, max_size=1) as db:
        is_new = await _publish(db, settings)
        link = await accounts.add(db, settings, ORGANIZER, admin=True)
        async with db.transaction() as conn:
            await accounts.own_if_unowned(conn, settings, slug(), ORGANIZER)
            organizer_id: OrganizerId = await conn.fetchval(FIRST_ORGANIZER)
        if is_new and not is_empty:
            await peopling.fill(db, settings, slug(), organizer_id)
        return link


async def _publish(db: Database, settings: Settings) -> bool:
    """Publish the sample letter; return whether it was not there before."""
    async with db.connection() as conn:
        known = await queries.by_slug(conn, slug())
    if known is None:
        languages = tuple(i18n.load(settings.locales_dir))
        await publishing.import_folder(db, Wrapper(settings.secret_keys), FOLDER, languages, publish=True)
    elif known["state"] == "draft":  # a demo of an older version was killed in between
        await publishing.publish(db, slug())
    return known is None
