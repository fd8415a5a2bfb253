"""Pages of the desk that show signatories' names: counted in the journal of access, and limited for a stale factor."""

import contextlib
from collections.abc import Iterable

from petition.core.access_journal import JournalKind
from petition.core.errors import Unavailable
from petition.core.ids import SignatureId
from petition.moderation.model import QueueItem
from petition.organizers import name_readings
from petition.signatures.model import SignatureState, Visibility
from petition.web.desk import access_page
from petition.web.desk.visit import DeskVisit


class NamesHidden(Exception):
    """All names of the letter are hidden, and the organizer does not own it."""


class FactorRequired(Exception):
    """Too many names that are not public have been read for a second factor that was proved a while ago."""


def check(visit: DeskVisit) -> None:
    """Raise ``NamesHidden`` if this organizer is to see no names of the letter at the moment."""
    if visit.conceals_names:
        raise NamesHidden


async def note(visit: DeskVisit, *items: Iterable[QueueItem | None], waiting: Iterable[SignatureId] = ()) -> None:
    """Count the signatures that a page is about to show; each once. Raises ``FactorRequired``, ``NamesHidden``.

    ``waiting`` are further ones whose organizations are not in the list yet. Those without a name are in the journal,
    too, but do not count against the limit.
    """
    check(visit)
    by_id = {item.id: item for group in items for item in group if item is not None}
    hidden = {item.id for item in by_id.values() if _is_hidden(item)} | set(waiting)
    if hidden:
        await _count(visit, sorted(hidden))
    await access_page.note(visit, JournalKind.NAMES_READ, len(by_id.keys() | hidden))


def _is_hidden(item: QueueItem) -> bool:
    """Return whether an item has a name that readers of the list do not see."""
    is_public = item.state is SignatureState.CONFIRMED and item.visibility == Visibility.PUBLIC
    return not is_public and bool(item.names.display_name or item.names.name)


async def _count(visit: DeskVisit, ids: list[SignatureId]) -> None:
    with contextlib.suppress(Unavailable):  # as the journal: the desk can be read while the database takes no changes
        async with visit.database.transaction() as conn:
            is_within = await name_readings.add(conn, visit.organizer.id, ids)
            if not is_within and not visit.is_fresh:
                raise FactorRequired
