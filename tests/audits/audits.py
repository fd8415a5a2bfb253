"""People who agreed to be asked, audits of them, and public randomness made by hand."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2
from pyrage import x25519

from petition.audits.worker import AuditWorker
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener
from petition.core.ids import QuestionId, SignatureId
from petition.core.tokens import Tokens
from petition.count_log import sequencing
from petition.mail.suppression import Suppression
from petition.signatures.confirming import Confirming, ConfirmRequest
from tests import rows
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.running import KEY as SECRET
from tests.running import PRIVATE_KEY, SLUG, Installation

AUDITS = f"/organizer/{SLUG}/audits"
AUDITOR = "Fair Count Association"
KEY = x25519.Identity.generate()
IN_TIME = "UPDATE audit SET draw_at = now() - interval '1 minute'"
AT_AN_END = "UPDATE audit SET ends_at = now() - interval '1 second'"


def address_of(number: int) -> str:
    return f"asked{number}@letters.example"


def draw_day() -> str:
    """Return the day after tomorrow."""
    return (datetime.now(UTC) + timedelta(days=2)).date().isoformat()


def drand_answer(number: int) -> str:
    """Return the answer of a drand server, as it may be."""
    signature = secrets.token_bytes(48)
    randomness = hashlib.sha256(signature).hexdigest()
    return json.dumps({"round": number, "randomness": randomness, "signature": signature.hex()})


@dataclass
class AuditBench:
    """A letter with an auditor, people who agreed, and the worker's steps by hand."""

    site: Installation
    bench: Bench
    counts: DecryptionCounts = field(default_factory=DecryptionCounts)

    @classmethod
    async def of(cls, site: Installation) -> "AuditBench":
        async with site.database.connection() as conn:
            return cls(site, Bench(site.database, await rows.letter(conn)))

    async def name_auditor(self, name: str = AUDITOR) -> None:
        await self.change("INSERT INTO auditor (letter, name) SELECT id, $1 FROM letter", name)

    async def agree(self, number: int, first: int = 0, visibility: str = "counted") -> list[SignatureId]:
        """Have people sign, and agree to be asked; take their entries into the log. Return their ids."""
        addresses = [address_of(first + one) for one in range(number)]
        async with self.site.database.transaction() as conn:
            ids = await rows.add_pending(conn, self.bench.letter, addresses, visibility=visibility)
        confirming, letter = Confirming(self.site.database), self.bench.letter
        requests = [ConfirmRequest(letter.id, one, letter.keys, agrees_to_audit=True) for one in ids]
        await asyncio.gather(*map(confirming.submit, requests))
        await self.take_log()
        return ids

    async def take_log(self) -> None:
        await sequencing.sequence(self.site.database, WRAPPER, self.site.settings.base_url, self.bench.letter.id, SLUG)

    async def work(self) -> bool:
        """Let the worker take one step."""
        opener = Opener(PRIVATE_KEY, self.counts)
        return await AuditWorker(self.site.database, opener, WRAPPER, Suppression(WRAPPER)).step()

    async def change(self, statement: str, *values: object) -> None:
        """Change rows behind the application's back: what time would."""
        async with self.site.database.transaction() as conn:
            await conn.execute(statement, *values)

    def link_to(self, signature_id: int) -> str:
        """Return the path of the link that confirms."""
        token = Tokens([SECRET]).for_signature(self.bench.letter.id, SignatureId(signature_id))
        return f"/en/confirm/{token}"

    def question(self, question_id: object) -> str:
        """Return the path of the link to a question."""
        token = Tokens([SECRET]).for_audit(self.bench.letter.id, QuestionId(int(str(question_id))))
        return f"/en/{SLUG}/audit/{token}"

    async def audits(self) -> list[dict[str, object]]:
        """Return what everyone can read."""
        answer = await self.site.client.get(f"/log/{SLUG}/audits")
        assert answer.status_code == 200
        items: list[dict[str, object]] = answer.json()["audits"]
        return items

    async def rows(self, statement: str, *values: object) -> list[dict[str, object]]:
        return await rows.rows_of(self.site.database, statement, *values)


def plan(auditor_id: int, **changes: str) -> dict[str, str]:
    """Return the form that announces an audit."""
    form = {"act": "announce", "auditor": str(auditor_id), "sample": "20", "day": draw_day(), "source": "drand"}
    return {**form, **changes}


async def auditor_id_of(site: Installation, email: str = "auditor@letters.example") -> int:
    return (await people.add(site, email)).id


async def announce(bench: AuditBench, owner: httpx2.AsyncClient, **changes: str) -> None:
    """Announce an audit, and let the worker publish its frame."""
    answer = await owner.post(AUDITS, data=plan(await auditor_id_of(bench.site), **changes))
    assert answer.status_code == 303, answer.text
    assert await bench.work()


async def draw(bench: AuditBench, auditor: httpx2.AsyncClient, number: int = 1) -> None:
    """Enter key and value in time, and let the worker draw."""
    key = {"act": "key", "recipient": str(KEY.to_public())}
    assert (await auditor.post(f"{AUDITS}/{number}", data=key)).status_code == 303
    await bench.change(IN_TIME)
    (row,) = await bench.rows("SELECT round FROM audit WHERE number = $1", number)
    value = {"act": "draw", "value": drand_answer(int(str(row["round"])))}
    answer = await auditor.post(f"{AUDITS}/{number}", data=value)
    assert answer.status_code == 303, answer.text
    assert await bench.work()


def drawn_again(frame: str, value: str, number: int) -> Sequence[int]:
    """Draw from the published text alone, as the decision describes it."""
    indexes = [int(line) for line in frame.splitlines()[4:]]
    digest = hashlib.sha256(frame.encode()).hexdigest()
    seed = hashlib.sha256(f"petition audit draw v1\n{digest}\n{value}\n".encode()).digest()
    ranked = sorted((hashlib.sha256(seed + index.to_bytes(8, "big")).digest(), index) for index in indexes)
    return sorted(index for _, index in ranked[:number])
