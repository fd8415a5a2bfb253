"""Adding signatories from a file: all of it or nothing, and nothing twice.

The rows are read, checked and staged first; then one statement adds them, so that people who confirm at the same time
hardly wait. E-mail addresses are digested while they are read, and stored nowhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from petition.core.database import Connection
from petition.core.errors import Gone
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.core.keeper import KeeperClient
from petition.imports import adding_queries as queries
from petition.imports.row_reading import Entries
from petition.imports.same_names import NameComparison, SameNames
from petition.signatures import (
    counting,
    names_end_queries,
    organization_queries,
    organizations,
    search_words,
)
from petition.signatures.counting import CountChange, EntryChange
from petition.signatures.model import Kind
from petition.signatures.organizations import OrganizationDirectory

# How far the letter's count moves shows how many of a file's mailboxes had signed. With so many new ones it shows
# little about one of them, and a file that is made up for the purpose is seen by all owners.
MIN_MAILBOXES = 50

OWNERS_ONLY = N_(
    "This list has e-mail addresses that are new here. Only an owner of the letter can import it, after proving the"
    " second factor again. Or go back to the columns and leave out the addresses."
)
TOO_FEW_MAILBOXES = N_(
    "A list with e-mail addresses is imported only if at least 50 of them are new: the result of a shorter one would"
    " show who has signed. Go back to the columns and leave out the addresses."
)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import took from its file, or would take.

    It is made from the file and the files before it, so that nothing shows which mailboxes have signed: rows whose
    mailbox has are among ``people`` and dropped in silence (docs/decisions/import-silence.md).
    """

    rows: int
    people: int
    organizations: int  # entries that were not counted before
    representatives: int  # rows of organizations
    hidden: int
    known: int  # rows that were imported before
    repeated: int = 0  # rows whose mailbox an earlier row of the file has
    same_names: int = 0  # rows with a name that was imported before, left out
    left_out: int = 0  # totals, repeated headers, rows left out by a choice; not among ``rows``
    mailboxes: int = 0  # different ones of the rows that are not known


@dataclass(frozen=True, slots=True)
class AddResult:
    """What the staged rows are, and what adding them did."""

    taken: Mapping[str, Any]  # signatures, people, hidden: by the files alone
    organizations: int  # likewise
    known: int
    mailboxes: int
    repeated: Sequence[tuple[int, int]] = ()  # lines, with that of an earlier row of the mailbox
    same_names: SameNames = field(default_factory=SameNames)

    def report(self, rows: int, left_out: int = 0) -> ImportReport:
        """Return the report of an import of ``rows``."""
        signatures, people = self.taken["signatures"], self.taken["people"]
        return ImportReport(
            rows=rows,
            people=people,
            organizations=self.organizations,
            representatives=signatures - people,
            hidden=self.taken["hidden"],
            known=self.known,
            repeated=len(self.repeated),
            same_names=self.same_names.left_out,
            left_out=left_out,
            mailboxes=self.mailboxes,
        )


class MailboxesRefused(Exception):
    """Rows with mailboxes would be added although they may not, or with fewer than ``MIN_MAILBOXES``."""


async def add_staged(
    conn: Connection,
    letter_id: LetterId,
    entries: Entries,
    number: int | None,
    *,
    dry_run: bool,
    names: NameComparison | None = None,
    min_mailboxes: int | None = 0,
    keeper: KeeperClient | None = None,
) -> AddResult:
    """Add the staged rows that the letter does not have yet, as import ``number`` (None: the next one).

    With ``names``, rows whose name was imported before are left out, or counted. ``min_mailboxes`` is the least number
    of different mailboxes if there are any, None if there may be none. ``keeper``: the rows come from a file, and not
    from this database. Raises ``MailboxesRefused``, ``Unavailable``, and ``Gone`` if the letter was taken down.
    """
    # lock order: see docs/decisions/lock-order.md
    is_kept = await queries.hold_letter(conn, letter_id)
    if is_kept is None:
        raise Gone("the letter was taken down")
    if await names_end_queries.have_ended(conn, letter_id):
        raise Gone("the letter's names have ended")
    if is_kept and keeper is not None:
        await queries.keep_staged(conn, keeper)
    if not dry_run:
        await queries.lock_rows(conn, letter_id)
    result = await _look_at_files(conn, letter_id, entries, number or 0, names)
    if dry_run:
        return result
    mailboxes = await queries.count_mailboxes(conn)
    if mailboxes and (min_mailboxes is None or mailboxes < min_mailboxes):
        raise MailboxesRefused
    if number is None:
        number = await queries.add_import(conn, letter_id)
    await queries.remember_rows(conn, letter_id, number, result.same_names.same_rows)
    await queries.drop_mailboxes(conn, letter_id)
    directory = await _assign_organizations(conn, letter_id, entries)
    await _add(conn, letter_id, number, directory)
    return result


async def _look_at_files(
    conn: Connection, letter_id: LetterId, entries: Entries, number: int, names: NameComparison | None
) -> AddResult:
    """Drop the rows that the file repeats or an earlier one had, and return what the rest would add.

    Nothing here looks at mailboxes outside the file.
    """
    repeated = await queries.drop_repeated(conn)
    if names:
        await names.load(conn, letter_id)
    known = await queries.drop_imported(conn, letter_id, number)
    mailboxes = await queries.count_mailboxes(conn)
    same_names = await names.apply(conn) if names else SameNames()
    directory = await _assign_organizations(conn, letter_id, entries)
    before = await organization_queries.load_counted(conn, letter_id, directory.ids)
    change = EntryChange(before, before | dict.fromkeys(directory.ids, True))
    taken = dict(await queries.count_staged(conn))
    return AddResult(taken, change.organizations, known + len(same_names.same_rows), mailboxes, repeated, same_names)


async def _assign_organizations(conn: Connection, letter_id: LetterId, entries: Entries) -> OrganizationDirectory:
    """Find or create the organizations of the rows still staged."""
    staged = set(await queries.load_entries(conn))
    rows = [(number, names, listed_at) for names, (number, listed_at) in entries.items() if number in staged]
    directory = await organizations.directory(conn, letter_id, [names for _, names, _ in rows])
    organization_ids = [directory.find_or_create(names, listed_at) for _, names, listed_at in rows]
    if organization_ids:
        await queries.assign_organizations(conn, [number for number, _, _ in rows], organization_ids)
    return directory


async def _add(
    conn: Connection,
    letter_id: LetterId,
    number: int,
    directory: OrganizationDirectory,
) -> None:
    before = await organization_queries.load_counted(conn, letter_id, directory.ids)
    await directory.write(conn, before)
    added = await queries.add_staged(conn, letter_id, number)
    change = EntryChange(before, await organization_queries.load_counted(conn, letter_id, directory.ids))
    unused = [organization_id for organization_id in directory.ids if organization_id not in change.after]
    await organization_queries.delete_unused(conn, letter_id, unused)
    words = [(letter_id, Kind.PERSON, word) for word in await queries.load_words(conn, letter_id)]
    await search_words.add(conn, [*words, *await directory.words(conn, change.after)])
    if added["signatures"]:
        listed_at = await organization_queries.load_listed_at(conn, letter_id, directory.ids)
        count_change = CountChange.of_list(number, added["by_hour"], added["hidden"])
        count_change += CountChange.of_entries(change, listed_at)
        await counting.apply(conn, letter_id, count_change, revision=True)
