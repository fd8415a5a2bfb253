"""The report of a letter as the web gives it, and the changes of a letter that it has to follow."""

import re
from datetime import timedelta
from typing import Any

from petition.core.ids import SignatureId
from tests.count_log.conftest import LogBench
from tests.running import SLUG, Installation

PAGE = f"/en/{SLUG}/how-we-count"
API = f"/api/v1/letters/{SLUG}/how-we-count"
ORDER = ("mailbox", "dns", "well_known", "second_mailbox", "vouched", "imported")
MARKS = {"mailbox": "own_domain", "dns": "dns", "well_known": "well_known", "second_mailbox": "second"}
MARK = """
UPDATE signature SET signals = coalesce(signals, '{}') || jsonb_build_object($3::text, true)
WHERE letter = $1 AND id = $2
"""
TOUCH = "UPDATE letter SET revision = revision + 1 WHERE id = $1"
VOUCH = """
WITH o AS (
  INSERT INTO organizer (name, lang, digest, sealed) VALUES ('Anna', 'en', 'one', '')
  ON CONFLICT (digest) DO UPDATE SET lang = 'en' RETURNING id
)
INSERT INTO voucher (letter, signature, organizer, name) SELECT $1, $2, id, 'Anna of the League' FROM o
ON CONFLICT DO NOTHING
"""
AGE = (
    "UPDATE log SET at = at - $2::interval WHERE letter = $1",
    "UPDATE statistics_change SET hour = hour - $2::interval WHERE letter = $1",
)


async def report(site: Installation) -> dict[str, Any]:
    """Return the report as the web has it after looking at the database."""
    assert (await site.client.get(f"/en/{SLUG}/signed", headers=site.new_network())).status_code == 200
    answer = await site.client.get(API)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def plain(text: str) -> str:
    return re.sub("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", " ", text)


async def mark(logged: LogBench, signature_id: SignatureId, kind: str) -> None:
    """Have a signature for an organization proven by ``kind``."""
    if kind == "vouched":
        await logged.change(VOUCH, signature_id)
    else:
        await logged.change(MARK, signature_id, MARKS[kind])
    await logged.change(TOUCH)


async def age(logged: LogBench, days: int) -> None:
    """Let days pass over what moderators decided and the forms that came in."""
    async with logged.database.transaction() as conn:
        await conn.execute("ALTER TABLE log DISABLE TRIGGER log_is_append_only")
        for statement in AGE:
            await conn.execute(statement, logged.letter.id, timedelta(days=days))
        await conn.execute("ALTER TABLE log ENABLE TRIGGER log_is_append_only")
    await logged.change(TOUCH)
