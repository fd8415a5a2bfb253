"""Mails to letters as other people's programs write them, signed by another library; a name server with their keys."""

import base64
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

import dkim
import nacl.signing
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from petition.core.settings import Process, load
from petition.demo.inbox import Mail
from petition.incoming_mail.model import Outcome
from petition.incoming_mail.signing_by_mail import SigningByMail
from tests.mail.dns_server import NameServer, answering
from tests.running import SLUG, Installation, installation

DOMAIN = "in.letters.example"
HOME = "home.example"  # the domain of those who write
SELECTOR = b"key1"
TO = f"sign+{SLUG}@{DOMAIN}"


def rsa_pair(bits: int = 2048) -> tuple[bytes, str]:
    """Return a private key as dkimpy takes it, and the DNS record of its public half."""
    key = rsa.generate_private_key(65537, bits)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


RSA, RSA_RECORD = rsa_pair()
ED25519 = nacl.signing.SigningKey.generate()
ED25519_RECORD = f"v=DKIM1; k=ed25519; p={base64.b64encode(bytes(ED25519.verify_key)).decode()}"


def quoted(record: str) -> str:
    """Return a TXT record in strings of 200 characters, as a zone file has it."""
    return " ".join(f'"{record[at : at + 200]}"' for at in range(0, len(record), 200))


def zone(**records: str) -> dict[tuple[str, str], list[str] | str | None]:
    """Return the records of ``HOME``, and more by "selector.domain" with dots as two underscores."""
    known = {f"key1._domainkey.{HOME}": RSA_RECORD, f"ed._domainkey.{HOME}": ED25519_RECORD}
    known |= {name.replace("__", "."): text for name, text in records.items()}
    return {(name, "TXT"): [quoted(text)] for name, text in known.items()}


def write(
    body: str = "",
    *,
    sender: str = f"Anna <anna@{HOME}>",
    to: str = TO,
    subject: str = "",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a mail as a plain mail program writes it."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{id(message)}.{datetime.now(UTC).timestamp()}@{HOME}>"
    for name, value in (headers or {}).items():
        message[name] = value
    message.set_content(body)
    return message.as_bytes()


def signed(
    content: bytes,
    *,
    key: bytes = RSA,
    domain: str = HOME,
    selector: bytes = SELECTOR,
    algorithm: bytes = b"rsa-sha256",
    over: tuple[bytes, ...] = (b"from", b"to", b"subject", b"date", b"message-id"),
    length: bool = False,
    simple: bool = False,
) -> bytes:
    """Return the mail with a DKIM signature by dkimpy in front."""
    header = dkim.sign(
        content,
        selector,
        domain.encode(),
        key,
        canonicalize=(b"simple", b"simple") if simple else (b"relaxed", b"relaxed"),
        signature_algorithm=algorithm,
        include_headers=list(over),
        length=length,
    )
    return bytes(header) + content


def with_ed25519(content: bytes) -> bytes:
    private = base64.b64encode(bytes(ED25519))
    return signed(content, key=private, selector=b"ed", algorithm=b"ed25519-sha256")


def line_in(mail: Mail, lang: str = "en") -> str:
    """Return the line to fill in of an answer in ``lang``."""
    found = re.search({"en": r"Name: ;.*", "ru": r"Имя: ;.*"}[lang], mail.body("plain") or "")
    assert found
    return found[0].strip()


@dataclass
class MailSite:
    """An installation that takes mail; ``receive`` is what the worker's listener calls."""

    site: Installation
    receiver: SigningByMail
    names: NameServer
    environ: dict[str, str] = field(default_factory=dict)

    async def tag(self, slug: str = SLUG) -> str:
        return f"[{(await self.site.digest(slug))[:12]}]"

    async def receive(self, content: bytes, *, envelope: str = f"anna@{HOME}", to: str = TO) -> None:
        assert await self.receiver.receive(envelope, to, content) is Outcome.DONE

    async def line(self, line: str, sender: str = f"Anna <anna@{HOME}>", to: str = TO) -> bytes:
        """Return a mail that signs the current text with ``line``."""
        return write(f"{line}\n", subject=f"Re: The letter {await self.tag()}", sender=sender, to=to)

    async def jobs(self) -> list[dict[str, object]]:
        """Return what waits in the outbox: purpose and details."""
        async with self.site.database.connection() as conn:
            rows = await conn.fetch("SELECT purpose, details, lang FROM outbox ORDER BY id")
        return [dict(row) for row in rows]

    async def answers(self) -> list[str]:
        """Return the kinds of the mails that wait."""
        kinds = []
        for job in await self.jobs():
            details = job["details"]
            kinds.append(str(details["kind"]) if isinstance(details, dict) else str(job["purpose"]))
        return kinds

    async def signatures(self) -> list[dict[str, object]]:
        async with self.site.database.connection() as conn:
            rows = await conn.fetch(
                "SELECT kind::text, state::text, visibility::text, name, city, signals, version, read_lang, mail_lang"
                " FROM signature ORDER BY signed_at"
            )
        return [dict(row) for row in rows]

    async def pending(self) -> int:
        async with self.site.database.connection() as conn:
            return int(await conn.fetchval("SELECT count(*) FROM pending"))


@asynccontextmanager
async def taking_mail(
    database_url: str, folder: Path, records: Mapping[tuple[str, str], list[str] | str | None], **more: str
) -> AsyncIterator[MailSite]:
    """Run the web with the sample letter, and a receiver that asks a name server of our own."""
    async with answering(records) as names:
        own = {"MAIL_IN": DOMAIN, "MX_RESOLVER": f"127.0.0.1:{names.port}", **more}
        async with installation(database_url, folder, **own) as site:
            settings = load(site.environ, role=Process.WEB)
            yield MailSite(site, SigningByMail(settings, site.database, ("en", "ru")), names, site.environ)
