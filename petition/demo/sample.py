"""The sample letter that a first demo publishes."""

import tomllib

from petition import database, i18n, resources
from petition.letters import actions, queries
from petition.sealing import Wrapper
from petition.settings import Settings

FOLDER = resources.PACKAGE / "sample"


def slug() -> str:
    """Return the sample letter's slug."""
    with (FOLDER / "letter.toml").open("rb") as file:
        found: str = tomllib.load(file)["slug"]
    return found


async def publish(url: str, settings: Settings) -> None:
    """Migrate, and publish the sample letter unless it is there: what was done to it since stays done."""
    await database.migrate(url)
    async with database.opened(url, most=1) as db:
        async with db.connection() as conn:
            known = await queries.by_slug(conn, slug())
        if known is None:
            languages = tuple(i18n.load(settings.locales_dir))
            await actions.import_folder(db, Wrapper(settings.secret_keys), FOLDER, languages)
        if known is None or known["state"] == "draft":  # a draft: the first demo was killed in between
            await actions.publish(db, slug())
