"""Recording that an organization's own domain names the letter: evidence in ``signature.signals``.

The marks ``dns`` and ``well_known`` have the day of the last look. A look that finds nothing takes them back, one that
gets no answer leaves them. The website may have been corrected while the domain was asked: then nothing is stored.
"""

from datetime import date

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import SignatureId
from petition.moderation.proof_model import DomainProof, ProofResult
from petition.signatures import counting
from petition.signatures.signals import host_of

DNS, WELL_KNOWN = "dns", "well_known"
NO_WEBSITE = N_("This organization gave no website.")
NOT_POSSIBLE = N_("This site looks up no domains: its operator has turned that off.")
NO_ANSWER = N_("Neither the name servers nor the website of this organization answered. Try again later.")

LOCK = """
SELECT coalesce(signals, '{}') AS signals, current_date AS today FROM signature
WHERE letter = $1 AND id = $2 AND kind = 'organization' AND state IN ('held', 'confirmed') FOR UPDATE
"""

STORE = "UPDATE signature SET signals = $3::jsonb WHERE letter = $1 AND id = $2"


def host_to_ask(website: str | None) -> str:
    """Return the host of a website. Raises ``Refused``."""
    host = host_of(website) if website else None
    if host is None:
        raise Refused(NO_WEBSITE, "domain")
    return host


async def store(conn: Connection, actor: Actor, signature_id: SignatureId, proof: DomainProof) -> None:
    """Store what a domain has said. Raises ``Refused`` if it said nothing at all."""
    results = {DNS: proof.dns, WELL_KNOWN: proof.well_known}
    if set(results.values()) == {ProofResult.FAILED}:
        raise Refused(NO_ANSWER, "domain")
    row = await conn.fetchrow(LOCK, actor.letter_id, signature_id)
    if row is None:
        return
    signals = _marked(row["signals"], results, row["today"])
    await conn.execute(STORE, actor.letter_id, signature_id, signals)
    after = ",".join(mark for mark in results if mark in signals) or "none"
    await audit_log.record_by(conn, actor, "organization.domain", ids=[signature_id], after=after)
    await counting.move_revision(conn, actor.letter_id)


def _marked(signals: dict[str, object], results: dict[str, ProofResult], today: date) -> dict[str, object]:
    marked = dict(signals)
    for mark, result in results.items():
        if result is ProofResult.YES:
            marked[mark] = today.isoformat()
        elif result is ProofResult.NO:
            marked.pop(mark, None)
    return marked
