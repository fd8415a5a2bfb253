"""Organizers from the command line: adding one, and resetting a lost second factor."""

from petition.core import audit_log, email_addresses, i18n
from petition.core.database import Connection, Database
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.encryption import Sealer, Wrapper
from petition.core.errors import NotFound, PetitionError
from petition.core.keeper import KeeperClient
from petition.core.settings import Settings
from petition.organizers import factor_resets, member_queries, queries, sign_in_links
from petition.organizers.desk_key import DeskKey
from petition.organizers.model import Role


async def add(database: Database, settings: Settings, email: str, *, admin: bool) -> str:
    """Return the address of a one-time link for an organizer, new or known. Raises ``PetitionError``."""
    mailbox = _mailbox(email)
    sealer, lang = Sealer(settings.contact_public_key), next(iter(i18n.load(settings.locales_dir)))
    async with KeeperClient(settings.keeper) as keeper, database.transaction() as conn:
        key = DeskKey(Wrapper(settings.secret_keys), keeper)
        organizer = await sign_in_links.add_organizer(conn, key, sealer, mailbox, lang=lang, admin=admin)
        return _address(settings, await sign_in_links.link(conn, organizer.id))


async def reset(database: Database, settings: Settings, email: str) -> str:
    """Remove an organizer's second factors and end all sessions; return the address of a one-time link.

    Raises ``NotFound``, ``PetitionError``.
    """
    async with KeeperClient(settings.keeper) as keeper, database.transaction() as conn:
        key = DeskKey(Wrapper(settings.secret_keys), keeper)
        organizer = await queries.organizer_of(conn, await key.of_mailbox(conn, _mailbox(email)))
        if organizer is None:
            raise NotFound("there is no organizer with this address")
        await factor_resets.remove_all(conn, organizer.id)
        await audit_log.record(conn, None, None, "factor.reset", ids=[organizer.id], command=True)
        return _address(settings, await sign_in_links.link(conn, organizer.id))


async def own_if_unowned(conn: Connection, settings: Settings, slug: str, email: str) -> None:
    """Make an organizer the owner of a letter that has no members yet."""
    letter = await member_queries.letter_id(conn, slug)
    async with KeeperClient(settings.keeper) as keeper:
        digest = await DeskKey(Wrapper(settings.secret_keys), keeper).of_mailbox(conn, _mailbox(email))
    organizer = await queries.organizer_of(conn, digest)
    if letter is None or organizer is None:
        return
    await member_queries.lock_letter(conn, letter)
    if not await member_queries.members(conn, letter):
        await member_queries.join(conn, letter, organizer.id, Role.OWNER)
        await audit_log.record(conn, None, letter, "member.take", ids=[organizer.id], after=Role.OWNER, command=True)


def _mailbox(email: str) -> Mailbox:
    try:
        return email_addresses.parse(email)
    except BadAddress as error:
        raise PetitionError(error.message) from None


def _address(settings: Settings, token: str) -> str:
    return f"{settings.base_url}/organizer/enter/{token}"
