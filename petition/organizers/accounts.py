"""Organizers from the command line: what admins do at the desk, for when it cannot be reached."""

from petition.core import audit_log, email_addresses, i18n
from petition.core.database import Connection, Database
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.encryption import Sealer, Wrapper
from petition.core.errors import NotFound, PetitionError, Refused
from petition.core.ids import LetterId, OrganizerId
from petition.core.keeper import KeeperClient
from petition.core.settings import Settings
from petition.organizers import factor_resets, member_queries, members, queries, sign_in_links
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


async def reset(database: Database, settings: Settings, name: str) -> str:
    """Remove an organizer's second factors and end all sessions; return the address of a one-time link.

    ``name`` is the organizer's number or address. Raises ``NotFound``, ``PetitionError``.
    """
    async with KeeperClient(settings.keeper) as keeper, database.transaction() as conn:
        number = await _number_of(conn, settings, keeper, name)
        await factor_resets.remove_all(conn, number)
        await audit_log.record(conn, None, None, "factor.reset", ids=[number], command=True)
        return _address(settings, await sign_in_links.link(conn, number))


async def remove(database: Database, settings: Settings, name: str) -> str:
    """Delete an organizer (number or address) with all rights; return what to say.

    Raises ``NotFound``, ``PetitionError`` for the last admin and a letter's only owner.
    """
    async with KeeperClient(settings.keeper) as keeper, database.transaction() as conn:
        number = await _number_of(conn, settings, keeper, name)
        try:
            await members.remove_organizer(conn, None, number)
        except Refused as refused:
            raise PetitionError(refused.message) from None
    return f"organizer {number} is removed, and signed out everywhere"


async def promote(database: Database, settings: Settings, name: str, slug: str | None) -> str:
    """Make an organizer (number or address) an admin, or the owner of a letter; return what to say.

    Raises ``NotFound``, ``PetitionError``.
    """
    async with KeeperClient(settings.keeper) as keeper, database.transaction() as conn:
        number = await _number_of(conn, settings, keeper, name)
        if slug is None:
            await members.set_admin(conn, None, number, admin=True)
            return f"organizer {number} is an admin of the installation"
        letter = await member_queries.letter_id(conn, slug)
        if letter is None:
            raise NotFound(f"there is no letter {slug}")
        await member_queries.lock_letter(conn, letter)
        await _own(conn, letter, number)
        return f"organizer {number} is an owner of {slug}"


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
        await _own(conn, letter, organizer.id)


async def _own(conn: Connection, letter: LetterId, organizer_id: OrganizerId) -> None:
    await member_queries.join(conn, letter, organizer_id, Role.OWNER)
    await audit_log.record(conn, None, letter, "member.take", ids=[organizer_id], after=Role.OWNER, command=True)


async def _number_of(conn: Connection, settings: Settings, keeper: KeeperClient, name: str) -> OrganizerId:
    """Return the number of the organizer with this number or address. Raises ``NotFound``, ``PetitionError``."""
    if name.isdecimal():
        numbers = {row["id"] for row in await member_queries.organizers(conn)}
        number = OrganizerId(int(name)) if int(name) in numbers else None
    else:
        key = DeskKey(Wrapper(settings.secret_keys), keeper)
        organizer = await queries.organizer_of(conn, await key.of_mailbox(conn, _mailbox(name)))
        number = organizer.id if organizer else None
    if number is None:
        raise NotFound("there is no organizer with this number or address: see petition organizer list")
    return number


def _mailbox(email: str) -> Mailbox:
    try:
        return email_addresses.parse(email)
    except BadAddress as error:
        raise PetitionError(error.message) from None


def _address(settings: Settings, token: str) -> str:
    return f"{settings.base_url}/organizer/enter/{token}"
