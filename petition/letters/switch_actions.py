"""Putting a switch into another position: as it was seen, on record, and back again."""

from collections.abc import Collection, Mapping

from petition.core import audit_log
from petition.core.database import Connection
from petition.core.errors import PetitionError, Refused
from petition.core.i18n import N_, Texts
from petition.core.ids import LetterId, OrganizerId
from petition.core.text_cleaning import clean, has_direction_mark, has_hidden
from petition.letters import switch_queries as queries
from petition.letters.switches import OFF, Switch

MAX_TEXT = 300  # characters of a reason or a banner in one language

TOO_LONG = N_("Too long: use at most 300 characters.")
HIDDEN = N_("There is a hidden character here. Type the text instead of pasting it.")
NO_TEXT = N_("Write what readers will see, in at least one language.")


class SwitchChanged(PetitionError):
    """The switch is not as it was seen any more."""


def texts_in(form: Mapping[str, str], languages: Collection[str], name: Switch, value: str) -> Texts:
    """Return what was typed for readers, by language. Raises ``Refused``, its field ``text_LANG`` of the form."""
    if not name.speaks:
        return {}
    texts = {lang: text for lang in languages if (text := clean(form.get(f"text_{lang}", "")))}
    for lang, text in texts.items():
        if len(text) > MAX_TEXT:
            raise Refused(TOO_LONG, f"text_{lang}")
        if has_hidden(text) or has_direction_mark(text):
            raise Refused(HIDDEN, f"text_{lang}")
    if value != OFF and not texts:
        raise Refused(NO_TEXT, f"text_{next(iter(languages))}")
    return texts


async def set_switch(
    conn: Connection,
    actor_id: OrganizerId | None,
    letter_id: LetterId | None,
    name: Switch,
    revision: int,
    value: str,
    texts: Texts,
) -> None:
    """Put a switch of a letter, or of the installation, into a position. Raises ``SwitchChanged``."""
    before = await queries.set_switch(conn, letter_id, name, revision, value, texts)
    if before is None:
        raise SwitchChanged("the switch was changed meanwhile")
    await audit_log.record(conn, actor_id, letter_id, f"switch.{name.value}", before=before, after=value)


async def undo(
    conn: Connection, actor_id: OrganizerId | None, letter_id: LetterId | None, name: Switch, revision: int
) -> None:
    """Put a switch back to where it was before the last change, texts too. Raises ``SwitchChanged``."""
    row = await queries.undo_switch(conn, letter_id, name, revision)
    if row is None:
        raise SwitchChanged("the switch was changed meanwhile")
    await audit_log.record(conn, actor_id, letter_id, f"switch.{name.value}", before=row["before"], after=row["after"])
