"""What ``petition switch`` does: a kill switch by hand, when the desk cannot be reached."""

from collections.abc import Collection

from petition.core.database import Database
from petition.core.errors import PetitionError, Refused
from petition.core.i18n import Texts
from petition.drafts import publishing
from petition.letters import switch_actions, switch_queries
from petition.letters.switches import OFF, Switch

INSTALLATION = "installation"


async def put(
    database: Database, owner: str, name: str, value: str, texts: Texts, languages: Collection[str]
) -> list[str]:
    """Put a switch of a letter, or of the installation, into a position; return what to say.

    ``texts`` are for readers, by language. Raises ``PetitionError``, ``NotFound``.
    """
    switch = Switch(name.replace("-", "_"))
    if value not in switch.values:
        raise PetitionError(f"{name} takes {', '.join(switch.values)}")
    async with database.transaction() as conn:
        letter_id = None if owner == INSTALLATION else await publishing.number_of(conn, owner)
        rows = {row["name"]: row for row in await switch_queries.all_switches(conn, letter_id)}
        row = rows.get(switch.value)
        if (row["value"] if row else OFF) == value and not texts:
            return [f"{owner}: {switch.value} is {value} already"]
        typed = dict(texts) or (row["texts"] if row else {})
        try:
            stored = switch_actions.texts_in(
                {f"text_{lang}": text for lang, text in typed.items()}, languages, switch, value
            )
        except Refused as refused:
            raise PetitionError(f"{refused.message} Use --text LANG=TEXT") from None
        revision = row["revision"] if row else 0
        await switch_actions.set_switch(conn, None, letter_id, switch, revision, value, stored)
    return [f"{owner}: {switch.value} {value}"]
