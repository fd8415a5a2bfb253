"""Signatories' consents to mail, on their own page: updates, and questions of the letter's auditor.

Each needs the address, which is deleted as soon as it is no longer needed. Each act is one transaction.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from petition.audits import queries as audit_queries
from petition.core import email_addresses
from petition.core.database import Connection, Database, Record
from petition.core.email_addresses import BadAddress
from petition.core.encryption import Sealer
from petition.core.errors import KeyDestroyed, NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import SignatureId
from petition.core.keeper import NO_KEEPER, KeeperClient, KeeperPurpose
from petition.letters.model import Letter
from petition.signatures import self_service
from petition.signatures import self_service_queries as queries
from petition.signatures.model import Kind

OTHER_ADDRESS = N_("This is not the address that this signature was made with.")


async def stop_updates(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    """Delete the address that is stored for updates. A second time changes nothing. Raises ``NotFound``."""
    async with _locked(database, letter, signature_id) as conn:
        await queries.stop_updates(conn, letter.id, signature_id)


async def stop_updates_if_any(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    """Delete the address that is stored for updates, if there is one, and a signature."""
    with suppress(NotFound):
        await stop_updates(database, letter, signature_id)


async def start_updates(
    database: Database,
    letter: Letter,
    signature_id: SignatureId,
    sealer: Sealer,
    typed: str,
    keeper: KeeperClient = NO_KEEPER,
) -> None:
    """Store the address for updates again. It was deleted, so it is typed, and must be the one that signed.

    Raises ``Refused``, ``NotFound``.
    """
    own = await _own_address(letter, typed, keeper, "email")
    async with _locked_by_address(database, letter, signature_id, own) as (conn, _):
        await queries.start_updates(conn, letter.id, signature_id, sealer.seal(own.address))


async def agree_to_audit(
    database: Database,
    letter: Letter,
    signature_id: SignatureId,
    sealer: Sealer,
    typed: str,
    keeper: KeeperClient = NO_KEEPER,
) -> None:
    """Store the address so that the letter's auditor can ask. It is typed, and must be the one that signed.

    Raises ``Refused``, ``NotFound``.
    """
    own = await _own_address(letter, typed, keeper, "audit_email")
    async with _locked_by_address(database, letter, signature_id, own) as (conn, row):
        if row["kind"] != Kind.PERSON or await audit_queries.auditor(conn, letter.id) is None:
            raise Refused(self_service.NOT_NOW, own.field)
        await audit_queries.add_consent(conn, letter.id, signature_id, sealer.seal(own.address))


async def refuse_audit(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    """Delete the address that is stored for an auditor. A second time changes nothing. Raises ``NotFound``."""
    async with _locked(database, letter, signature_id) as conn:
        await audit_queries.drop_consent(conn, letter.id, signature_id)


@dataclass(frozen=True, slots=True)
class _OwnAddress:
    """An address that was typed into ``field`` as the one that signed; errors name the field."""

    address: str
    digest: bytes
    field: str


async def _own_address(letter: Letter, typed: str, keeper: KeeperClient, field: str) -> _OwnAddress:
    """Return a typed address with its digest. Raises ``Refused`` about ``field``."""
    try:
        mailbox = email_addresses.parse(typed)
        canonical = email_addresses.canonical(mailbox, letter.rules_version)
        digest = await keeper.digest(letter.keys, canonical, KeeperPurpose.OWN_PAGE)
        return _OwnAddress(mailbox.address, digest, field)
    except BadAddress as error:
        raise Refused(error.message, field) from None
    except KeyDestroyed:
        raise Refused(self_service.NOT_NOW, field) from None


@asynccontextmanager
async def _locked(database: Database, letter: Letter, signature_id: SignatureId) -> AsyncIterator[Connection]:
    """Open a transaction that has locked a signature in any state. Raises ``NotFound``."""
    async with database.transaction() as conn:
        if await queries.load(conn, letter.id, signature_id, lock=True) is None:
            raise NotFound("there is no such signature")
        yield conn


@asynccontextmanager
async def _locked_by_address(
    database: Database, letter: Letter, signature_id: SignatureId, own: _OwnAddress
) -> AsyncIterator[tuple[Connection, Record]]:
    """Open a transaction that has locked a signature made with ``own``. Raises ``Refused``, ``NotFound``."""
    async with database.transaction() as conn:
        row = await self_service.lock(conn, letter, signature_id)
        if row["digest"] != own.digest:
            raise Refused(OTHER_ADDRESS, own.field)
        yield conn, row
