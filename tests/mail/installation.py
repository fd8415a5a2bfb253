"""An installation with letters, pending and confirmed signatures, as the web would have written them."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from petition.core import encryption
from petition.core.database import Connection, Record
from petition.core.email_addresses import canonical
from petition.core.encryption import LetterKeys, Sealer, Wrapper
from petition.core.ids import LetterId, SignatureId
from petition.core.settings import Process, Settings, load
from petition.core.tokens import Tokens

SECRET_KEY = "a secret key of this test that is long enough"
NOW = timedelta()


def environ(folder: Path, database_url: str, *relays: str) -> dict[str, str]:
    """Return the environment of a worker on loopback."""
    return {
        "DATA_DIR": str(folder),
        "SECRET_KEY": SECRET_KEY,
        "DATABASE_URL": database_url,
        "SMTP_URLS": ",".join(relays) or "smtp://127.0.0.1:1",
        "MAIL_FROM": "Open letters <post@letters.example>",
    }


def settings(folder: Path, database_url: str, *relays: str) -> Settings:
    """Return a worker's settings."""
    return load(environ(folder, database_url, *relays), role=Process.WORKER)


@dataclass
class Letter:
    """A letter and its unwrapped keys."""

    id: LetterId
    slug: str
    keys: LetterKeys


class Installation:
    """Writes rows through one connection."""

    def __init__(self, conn: Connection, its: Settings) -> None:
        self.conn = conn
        self.settings = its
        self.tokens = Tokens(its.secret_keys)
        self.wrapper = Wrapper(its.secret_keys)
        self._sealer = Sealer(its.contact_public_key)

    async def letter(self, slug: str = "keep-the-channels-open", state: str = "open") -> Letter:
        """Add a letter; closed and archived ones were closed just now."""
        keys = LetterKeys(encryption.new_key(), encryption.new_key())
        assert keys.digest_key is not None
        assert keys.name_key is not None
        letter_id = await self.conn.fetchval(
            "INSERT INTO letter (slug, state, wrapped_digest_key, wrapped_name_key, rules_version, closed_at)"
            " VALUES ($1, $2::letter_state, $3, $4, 1, CASE WHEN $2 IN ('closed', 'archived') THEN now() END)"
            " RETURNING id",
            slug,
            state,
            self.wrapper.wrap(keys.digest_key),
            self.wrapper.wrap(keys.name_key),
        )
        return Letter(letter_id, slug, keys)

    async def describe(self, letter: Letter, titles: dict[str, str], *initiators: dict[str, str]) -> None:
        """Publish a text under these titles, with initiators named per language."""
        texts = {lang: {"title": title, "markdown": "Text", "html": "<p>Text</p>"} for lang, title in titles.items()}
        await self.conn.execute(
            "INSERT INTO version (letter, number, digest, texts, signed_before) VALUES ($1, 1, 'd', $2, 0)",
            letter.id,
            texts,
        )
        await self.conn.execute("UPDATE letter SET version = 1 WHERE id = $1", letter.id)
        for position, names in enumerate(initiators):
            await self.conn.execute(
                "INSERT INTO party (letter, role, position, names) VALUES ($1, 'initiator', $2, $3)",
                letter.id,
                position,
                names,
            )

    async def sign_up(
        self,
        letter: Letter,
        address: str,
        kind: str = "person",
        lang: str = "en",
        ago: timedelta = NOW,
        fields: dict[str, str] | None = None,
    ) -> SignatureId:
        """Add a pending row and its mail job; return the row's id."""
        signature_id = SignatureId(secrets.randbits(63))
        digest = letter.keys.digest(canonical(address, 1))
        await self.conn.execute(
            "INSERT INTO pending (letter, id, kind, digest, fields, sealed, version, consent, read_lang, mail_lang,"
            " created_at) VALUES ($1, $2, $3, $4, $5, $6, 1, 1, $7, $7, now() - $8::interval)",
            letter.id,
            signature_id,
            kind,
            digest,
            letter.keys.hide({"name": "Nemo"} if fields is None else fields),
            self._sealer.seal(address),
            lang,
            ago,
        )
        await self.conn.execute(
            "INSERT INTO outbox (letter, purpose, kind, pending, digest, lang) VALUES ($1, 'sign', $2, $3, $4, $5)",
            letter.id,
            kind,
            signature_id,
            digest,
            lang,
        )
        return signature_id

    async def find(self, letter: Letter, address: str, lang: str = "en") -> None:
        """Add the job that a lost link makes."""
        await self.conn.execute(
            "INSERT INTO outbox (letter, purpose, digest, sealed, lang) VALUES ($1, 'find', $2, $3, $4)",
            letter.id,
            letter.keys.digest(canonical(address, 1)),
            self._sealer.seal(address),
            lang,
        )

    async def signature(
        self, letter: Letter, address: str, kind: str = "person", state: str = "confirmed"
    ) -> SignatureId:
        """Add a signature that the mailbox has given before; return its id."""
        signature_id = SignatureId(secrets.randbits(63))
        await self.conn.execute(
            "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, digest)"
            " VALUES ($1, $2, now(), $3, $4, 'organizers', $5)",
            letter.id,
            signature_id,
            kind,
            state,
            letter.keys.digest(canonical(address, 1)),
        )
        return signature_id

    async def bar(self, letter: Letter, address: str) -> None:
        """Bar a mailbox from a letter."""
        digest = letter.keys.digest(canonical(address, 1))
        await self.conn.execute("INSERT INTO bar (letter, digest) VALUES ($1, $2)", letter.id, digest)

    async def outbox(self) -> list[Record]:
        """Return the jobs that are left."""
        return await self.conn.fetch("SELECT * FROM outbox ORDER BY id")

    async def is_idle(self) -> bool:
        """Tell whether no job is left."""
        return not await self.outbox()

    async def hurry(self) -> None:
        """Let the pauses and the dead workers' leases be over."""
        await self.conn.execute("UPDATE outbox SET due_at = now()")

    async def refused(self) -> list[tuple[int, int]]:
        """Return (letter, code) of every mail refused for good."""
        return [(row["letter"], row["code"]) for row in await self.conn.fetch("SELECT letter, code FROM refused_mail")]
