"""Mail domains that an organizer lets through: a school or a company that signs, and is no forger.

Only a digest is stored, so the list of them cannot be read; an organizer types a domain to let it through or to stop.
"""

from collections.abc import Sequence

from petition.core import audit_log, mail_domains
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.email_addresses import BadAddress, parse
from petition.core.encryption import LetterKeys
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.core.mail_domains import ProviderClass
from petition.core.quotas import DayKey
from petition.moderation import decisions
from petition.moderation.decisions import ANY_ACT
from petition.moderation.model import Action

INVALID = N_("Enter a domain, as in school.example.")
SHARED = N_("Anyone can have an address there. Only a domain that belongs to one organization can be let through.")
MAX_RELEASED = 5_000  # signatures in one act

TRUST = "INSERT INTO trusted_domain (letter, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING"

DISTRUST = "DELETE FROM trusted_domain WHERE letter = $1 AND digest = $2"

COUNT = "SELECT count(*) FROM trusted_domain WHERE letter = $1"

RELEASE_PENDING = """
WITH mine AS MATERIALIZED (
  SELECT p.letter, p.id FROM pending p WHERE p.letter = $1 AND p.domain = ANY($2::bytea[]) ORDER BY p.id FOR UPDATE
)
UPDATE pending p SET domain = NULL, mail_host = NULL FROM mine m WHERE p.letter = m.letter AND p.id = m.id
"""

# What else is flagged about a signature is looked at by itself.
WAITING = """
SELECT id FROM signature
WHERE letter = $1 AND domain = ANY($2::bytea[]) AND kind = 'person' AND state IN ('held', 'confirmed')
  AND flags <> '{}' AND flags <@ '{one_domain,one_host}' ORDER BY id LIMIT $3
"""


def domain_of(typed: str) -> str:
    """Return the domain that was typed, also as a part of an address. Raises ``Refused``."""
    try:
        domain = parse(f"any@{typed.strip().rpartition('@')[2]}").domain
    except BadAddress:
        raise Refused(INVALID, "domain") from None
    if mail_domains.class_of(domain) is not ProviderClass.OWN:
        raise Refused(SHARED, "domain")
    return domain


async def trust(
    conn: Connection,
    actor: Actor,
    keys: LetterKeys,
    days: Sequence[DayKey],
    domain: str,
    keeper: KeeperClient | None = None,
) -> None:
    """Let a domain and those below it through, and approve what of it waits for nothing else. Raises ``Gone``."""
    # lock order: see docs/decisions/lock-order.md
    await audit_log.hold_letter(conn, actor.letter_id)
    await conn.execute(TRUST, actor.letter_id, keys.digest(mail_domains.TRUSTED + domain))
    # Sign-ups of today and yesterday are known by the registered domain; the digests do not distinguish its parts.
    of_days = [day.mail_domain(actor.letter_id, domain) for day in days]
    digests = await (keeper or KeeperClient(None)).of_installation(conn, of_days, KeeperPurpose.DESK)
    await conn.execute(RELEASE_PENDING, actor.letter_id, digests)
    rows = await conn.fetch(WAITING, actor.letter_id, digests, MAX_RELEASED)
    await audit_log.record_by(conn, actor, "domain.trust", ids=[])
    await decisions.decide(conn, actor, keys, Action.APPROVE, {row["id"]: ANY_ACT for row in rows})


async def distrust(conn: Connection, actor: Actor, keys: LetterKeys, domain: str) -> None:
    """Count a domain again from now on. Raises ``Gone``."""
    await conn.execute(DISTRUST, actor.letter_id, keys.digest(mail_domains.TRUSTED + domain))
    await audit_log.record_by(conn, actor, "domain.distrust", ids=[])


async def count(conn: Connection, actor: Actor) -> int:
    """Return how many domains are let through."""
    return int(await conn.fetchval(COUNT, actor.letter_id))
