"""Is a mail really from the mailbox in "From"? Its own DKIM signature says so (RFC 6376), and nothing else is believed.

What a signature must be is in docs/decisions/mail-in.md. Keys are asked for first, with a limit of time; the
arithmetic runs in a thread.
"""

import asyncio
import base64
import hashlib
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

import dkim
import dns.exception
from dkim.util import InvalidTagValueList, parse_tag_value
from dns.rdtypes.ANY.TXT import TXT

from petition.core.mail_domains import organizational
from petition.core.mail_settings import MxResolver
from petition.core.name_servers import LOOKUP_SECONDS, resolver_of

DAY = 86400  # seconds
MAX_AGE = 14 * DAY  # of a signature: as long as a used one is remembered
CLOCK_SLIP = 3600  # seconds
MAX_SIGNATURES = 5  # looked at in one mail
MIN_RSA_BITS = 1024
MAX_KEY = 1024  # characters of a DNS record: a key of 4,096 bits has 740
MAX_SIGNATURE = 4096  # bytes of a header field
PATIENCE = 5.0  # seconds for all look-ups of one mail
KEY_AGE, FAILURE_AGE = 3600.0, 60.0  # seconds
CAPACITY = 10_000  # keys
SIGNED = frozenset((b"from", b"to", b"subject"))

_ALGORITHMS = frozenset((b"rsa-sha256", b"ed25519-sha256"))
_NAME = re.compile(rb"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
# A bare CR, at which one parser may end a header and another not; so many blanks that the library would take minutes.
_REFUSED = re.compile(rb"\r(?!\n)|[ \t]{200}")
_MANY_BLANKS = re.compile(rb"\s{20}")
_SILENT = logging.Logger("silent", logging.CRITICAL + 1)  # the library says what stands in the mail


@dataclass(frozen=True, slots=True)
class MailProof:
    """A valid, aligned signature. ``digest`` is the same each time the same mail comes."""

    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _DkimSignature:
    number: int  # among those of the mail, from 0
    tags: Mapping[bytes, bytes]

    @property
    def headers(self) -> list[bytes]:
        return [name.strip().lower() for name in self.tags[b"h"].split(b":")]

    @property
    def key_name(self) -> str:
        return (self.tags[b"s"] + b"._domainkey." + self.tags[b"d"]).decode().lower()


class DkimVerifier:
    """Verifies mails. Without a resolver none is proven."""

    def __init__(self, setting: MxResolver | None) -> None:
        self._resolver = resolver_of(setting, LOOKUP_SECONDS)
        self._keys: dict[str, tuple[bytes | None, float]] = {}

    async def verify(self, content: bytes, sender_domain: str) -> MailProof | None:
        """Return the proof that a mailbox at ``sender_domain`` (ASCII, lower case) sent this mail; None without one."""
        if self._resolver is None or _REFUSED.search(content):
            return None
        try:
            signed = dkim.DKIM(content, logger=_SILENT, minkey=MIN_RSA_BITS)
        except (dkim.DKIMException, IndexError):
            return None
        fields = [name.lower() for name, _ in signed.headers]
        if any(fields.count(name) != 1 for name in SIGNED):
            return None
        candidates = _candidates(signed, sender_domain)
        keys: dict[str, bytes | None] = {}
        try:
            async with asyncio.timeout(PATIENCE):
                for signature in candidates:
                    keys[signature.key_name] = await self._key(signature.key_name)
        except TimeoutError:
            pass
        usable = [one for one in candidates if _is_usable(keys.get(one.key_name), one)]
        return await asyncio.to_thread(_verified, signed, usable, keys) if usable else None

    async def _key(self, name: str) -> bytes | None:
        known = self._keys.get(name)
        if known and known[1] > time.monotonic():
            return known[0]
        try:
            key, age = await self._ask(name), KEY_AGE
        except (dns.exception.DNSException, OSError, ValueError):
            key, age = None, FAILURE_AGE
        if len(self._keys) >= CAPACITY:
            self._keys.clear()
        self._keys[name] = key, time.monotonic() + age
        return key

    async def _ask(self, name: str) -> bytes | None:
        assert self._resolver is not None  # noqa: S101 - asked before
        answer = await self._resolver.resolve(f"{name}.", "TXT")
        records = [b"".join(record.strings) for record in answer if isinstance(record, TXT)]
        return records[0] if len(records) == 1 and len(records[0]) <= MAX_KEY else None


def _candidates(signed: dkim.DKIM, sender_domain: str) -> list[_DkimSignature]:
    """Return the signatures worth a look-up: complete, aligned, fresh, and over what must be signed."""
    values = [value for name, value in signed.headers if name.lower() == b"dkim-signature"]
    signatures = []
    for number, value in enumerate(values[:MAX_SIGNATURES]):
        if len(value) > MAX_SIGNATURE or _MANY_BLANKS.search(value):
            continue
        try:
            signature = _DkimSignature(number, parse_tag_value(value))
        except InvalidTagValueList:
            continue
        if _is_sound(signature, signed, sender_domain):
            signatures.append(signature)
    return signatures


def _is_sound(signature: _DkimSignature, signed: dkim.DKIM, sender_domain: str) -> bool:
    tags = signature.tags
    if not {b"a", b"b", b"bh", b"d", b"h", b"s"} <= tags.keys() or b"l" in tags or tags[b"a"] not in _ALGORITHMS:
        return False
    if not (_NAME.fullmatch(tags[b"d"]) and _NAME.fullmatch(tags[b"s"])) or not set(signature.headers) >= SIGNED:
        return False
    domain = tags[b"d"].decode().lower()
    is_aligned = domain == sender_domain or organizational(domain) == organizational(sender_domain)
    return is_aligned and _is_fresh(signature, signed, time.time())


def _is_fresh(signature: _DkimSignature, signed: dkim.DKIM, now: float) -> bool:
    """Return whether it was made within ``MAX_AGE``, by its own time or else by the date that it signs."""
    expires, signed_at = signature.tags.get(b"x"), signature.tags.get(b"t")
    if expires is not None and (not expires.isdigit() or len(expires) > 12 or int(expires) < now):
        return False
    if signed_at is not None:
        at = float(signed_at) if signed_at.isdigit() and len(signed_at) <= 12 else 0.0
    else:
        at = _signed_date(signature, signed)
    return now - MAX_AGE < at < now + CLOCK_SLIP


def _signed_date(signature: _DkimSignature, signed: dkim.DKIM) -> float:
    dates = [value for name, value in signed.headers if name.lower() == b"date"]
    if len(dates) != 1 or b"date" not in signature.headers:
        return 0.0
    try:
        moment = parsedate_to_datetime(dates[0].decode("ascii", "replace").strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_usable(record: bytes | None, signature: _DkimSignature) -> bool:
    """Return whether a key's record lets this signature be made with it (RFC 6376, 3.6.1)."""
    try:
        key = parse_tag_value(record or b"")
    except InvalidTagValueList:
        return False
    algorithm = signature.tags[b"a"].partition(b"-")[0]
    flags = {flag.strip() for flag in key.get(b"t", b"").split(b":")}
    _, at, identity = signature.tags.get(b"i", b"").rpartition(b"@")
    is_strict = b"s" in flags and at and identity.lower() != signature.tags[b"d"].lower()
    return (
        key.get(b"v", b"DKIM1") == b"DKIM1"
        and key.get(b"k", b"rsa") == algorithm
        and b"sha256" in key.get(b"h", b"sha256")
        and bool({b"*", b"email"} & {service.strip() for service in key.get(b"s", b"*").split(b":")})
        and b"y" not in flags  # the domain only tests
        and not is_strict
        and bool(key.get(b"p"))
    )


def _verified(
    signed: dkim.DKIM, signatures: list[_DkimSignature], keys: Mapping[str, bytes | None]
) -> MailProof | None:
    for signature in signatures:
        try:
            is_valid = signed.verify(signature.number, dnsfunc=lambda *_, s=signature, **__: keys[s.key_name])
        except (
            dkim.DKIMException,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RecursionError,
        ):
            continue
        if is_valid is True and _is_long_enough(signed):
            return MailProof(_digest(signature, signed))
    return None


def _is_long_enough(signed: dkim.DKIM) -> bool:
    return bool(signed.ktag == b"ed25519" or signed.keysize >= MIN_RSA_BITS)


def _digest(signature: _DkimSignature, signed: dkim.DKIM) -> bytes:
    """Return a digest of what is signed: of the body, and of the fields that tell one mail from another."""
    names = SIGNED | ({b"date", b"message-id"} & set(signature.headers))
    fields = sorted((name.lower(), b" ".join(value.split())) for name, value in signed.headers if name.lower() in names)
    body = base64.b64decode(re.sub(rb"\s+", b"", signature.tags[b"bh"]))
    return hashlib.sha256(b"\0".join((body, *(part for pair in fields for part in pair)))).digest()
