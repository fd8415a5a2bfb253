"""Moderators' acts on the sample letter, with a check of the count and the search words after each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from petition.core.audit_log import Actor
from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.ids import LogId, OrganizerId, SignatureId
from petition.letters.model import Letter
from petition.moderation import decisions, undoing
from petition.moderation.decisions import ANY_ACT
from petition.moderation.model import Action, ActOutcome
from petition.signatures import counting, search_words
from petition.signatures.confirming import Confirming, ConfirmRequest
from petition.signatures.counting import CountChange
from petition.signatures.model import Kind, Reason
from tests import rows
from tests.running import KEY

WRAPPER = Wrapper([KEY])

WORDS = "SELECT kind, word FROM name_word WHERE letter = $1 ORDER BY kind, word"
WORDS_SHOWN = """
SELECT DISTINCT kind, word COLLATE "C" AS word FROM (
  SELECT kind, unnest(string_to_array(name_key, ' ')) AS word FROM signature
  WHERE letter = $1 AND kind = 'person' AND state = 'confirmed' AND visibility = 'public'
  UNION ALL
  SELECT s.kind, unnest(string_to_array(o.name_key, ' ')) FROM organization o
  JOIN signature s ON s.letter = o.letter AND s.organization = o.id
  WHERE s.letter = $1 AND s.state = 'confirmed'
) AS w ORDER BY kind, word
"""
EVERYTHING = """
SELECT id, kind, state, visibility, organization, name, affiliation, city, name_key, "position", digest, flags,
       removed_from, removed_for, group_number
FROM signature WHERE letter = $1 ORDER BY id
"""
CROWD = """
INSERT INTO signature (letter, id, signed_at, listed_at, kind, state, visibility, name, name_key, country, read_lang)
SELECT $1, (random() * 9e18)::bigint, now(), now() - n * interval '1 second', 'person', $3::signature_state, 'public',
       'Vera Crowd' || n % 7, 'vera crowd' || n % 7, $4, 'en'
FROM generate_series(1, $2::integer) AS n RETURNING id
"""
BARS = "SELECT digest FROM bar WHERE letter = $1 ORDER BY digest"


@dataclass
class Bench:
    """One letter and its signatures, with helpers that sign, decide and check."""

    database: Database
    letter: Letter
    signed: int = 0

    @property
    def actor(self) -> Actor:
        """The installation, as the author of an act on this letter."""
        return Actor(None, self.letter.id)

    async def sign(self, *names: str, **fields: str) -> list[SignatureId]:
        """Have people sign and confirm; return their ids."""
        ids: list[SignatureId] = []
        for name in names:
            self.signed += 1
            ids += await self.confirm([f"voice{self.signed}@letters.example"], name=name, **fields)
        return ids

    async def sign_for(self, organization: str, name: str = "Anna Berg", **fields: str) -> SignatureId:
        """Have a representative sign and confirm; return the id of what waits now."""
        self.signed += 1
        fields = {"organization_en": organization, "name": name, **fields}
        return (await self.confirm([f"office{self.signed}@letters.example"], **fields))[0]

    async def confirm(self, addresses: Sequence[str], **fields: str) -> list[SignatureId]:
        """Sign and confirm from these mailboxes."""
        async with self.database.transaction() as conn:
            ids = await rows.add_pending(conn, self.letter, addresses, **fields)
        await self.use_links(ids)
        return ids

    async def use_links(self, ids: Sequence[SignatureId]) -> None:
        """Confirm what waits."""
        confirming = Confirming(self.database)
        for signature_id in ids:
            await confirming.submit(ConfirmRequest(self.letter.id, signature_id, self.letter.keys))

    async def crowd(self, number: int, state: str = "confirmed", country: str | None = None) -> list[SignatureId]:
        """Add many public people, counted, a second apart; return their ids."""
        people = await self.rows(CROWD, number, state, country)
        async with self.database.transaction() as conn:
            known = [(self.letter.id, Kind.PERSON, word) for n in range(7) for word in (f"crowd{n}", "vera")]
            await search_words.add(conn, known)
            if state == "confirmed":
                await counting.apply(conn, self.letter.id, CountChange(people=number))
        return [row["id"] for row in people]

    async def decide(
        self,
        act: Action,
        *ids: SignatureId,
        reason: Reason | None = None,
        actor_id: OrganizerId | None = None,
        seen: LogId = ANY_ACT,
    ) -> ActOutcome:
        """Decide, and check the count."""
        async with self.database.transaction() as conn:
            actor = Actor(actor_id, self.letter.id)
            outcome = await decisions.decide(conn, actor, self.letter.keys, act, dict.fromkeys(ids, seen), reason)
        await self.check()
        return outcome

    async def remove(self, *ids: SignatureId, reason: Reason = Reason.FAKE) -> ActOutcome:
        """Remove, and check the count."""
        return await self.decide(Action.REMOVE, *ids, reason=reason)

    async def undo(self, log_id: LogId | None, actor_id: OrganizerId | None = None) -> ActOutcome:
        """Undo an act, and check the count."""
        assert log_id is not None
        async with self.database.transaction() as conn:
            outcome = await undoing.undo(conn, Actor(actor_id, self.letter.id), self.letter.keys, log_id)
        await self.check()
        return outcome

    async def check(self) -> dict[str, int]:
        """Fail unless the count and the words of the search are what the rows say; return the count."""
        async with self.database.connection() as conn:
            count = await rows.check_count(conn, self.letter)
        assert await self.rows(WORDS) == await self.rows(WORDS_SHOWN)
        return count

    async def rows(self, statement: str, *more: object) -> list[dict[str, Any]]:
        """Return rows of this letter ($1)."""
        return await rows.rows_of(self.database, statement, self.letter.id, *more)

    async def snapshot(self) -> tuple[object, ...]:
        """Return all that an act may change and undoing must restore."""
        return await self.rows(EVERYTHING), await self.rows(BARS), await self.rows(WORDS), await self.check()

    async def states(self, *ids: SignatureId) -> list[str]:
        """Return the states of signatures."""
        states = await self.rows("SELECT id, state FROM signature WHERE letter = $1")
        by_id = {row["id"]: row["state"] for row in states}
        return [by_id[id] for id in ids]
