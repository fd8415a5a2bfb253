"""Our own signatures under every mail (RFC 6376, RFC 8463), so that no relay's signature is needed.

Canonical form ``relaxed/relaxed``, no ``l=``. The mail must leave as it was signed: its body is 7bit or
quoted-printable already, so no relay has a reason to encode it again (docs/decisions/dkim.md).
"""

import base64
import functools
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from petition.core import dkim_keys
from petition.core.dkim_keys import DkimKey
from petition.core.sender import parse_sender
from petition.core.settings import Settings
from petition.mail.signing_threads import SigningThreads

SIGNED = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Language",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
)
# Named once more than there are, so that a second one added on the way breaks the signature.
OVERSIGNED = ("From", "To", "Subject", "Reply-To")

_SIGNED = tuple((name, name.lower().encode(), name in OVERSIGNED) for name in SIGNED)
_FOLDING = re.compile(rb"\r\n(?=[ \t])")
_LINE = 76  # characters of base64 on one line of the header


@dataclass(frozen=True, slots=True)
class _UnsignedMail:
    """A mail before it is signed: for each key the field without the signature, and the digest to be signed."""

    fields: Sequence[bytes]
    digests: Sequence[bytes]
    content: bytes = field(repr=False)

    def signed(self, signatures: Sequence[bytes]) -> bytes:
        pairs = zip(self.fields, signatures, strict=True)
        return b"".join(part for unsigned, signature in pairs for part in (unsigned, _in_lines(signature))) + (
            self.content
        )


class DkimSigner:
    """Signs mails of one domain, once for each key."""

    def __init__(self, domain: str, keys: Sequence[tuple[str, DkimKey]]) -> None:
        self._domain = domain.lower()
        self._selectors = tuple(selector for selector, _ in keys)
        self._keys = tuple(key for _, key in keys)
        self._threads = SigningThreads(self._sign)

    def sign(self, content: bytes) -> bytes:
        """Return ``content``, a whole mail with CRLF line ends, with our signatures in front."""
        return self._sign(self._unsigned(content))

    async def sign_beside(self, content: bytes) -> bytes:
        """Return the same. The signing itself is done beside other mails: it takes as long as the rest of one."""
        if not self._keys:
            return content
        return await self._threads.sign(self._unsigned(content))

    def _sign(self, unsigned: _UnsignedMail) -> bytes:
        return unsigned.signed([key.sign(digest) for key, digest in zip(self._keys, unsigned.digests, strict=True)])

    def _unsigned(self, content: bytes) -> _UnsignedMail:
        if not self._keys:
            return _UnsignedMail((), (), content)
        head, _, body = content.partition(b"\r\n\r\n")
        names, signed = _chosen_fields(head + b"\r\n")
        body_hash = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode("ascii")
        now = int(time.time())
        fields = [
            self._field(selector, key, names, body_hash, now)
            for selector, key in zip(self._selectors, self._keys, strict=True)
        ]
        digests = [hashlib.sha256(signed + _relaxed_field(_FOLDING.sub(b"", one))).digest() for one in fields]
        return _UnsignedMail(fields, digests, content)

    def _field(self, selector: str, key: DkimKey, names: tuple[str, ...], body_hash: str, now: int) -> bytes:
        return (
            f"DKIM-Signature: v=1; a={key.algorithm}-sha256; c=relaxed/relaxed; d={self._domain};\r\n"
            f" s={selector}; t={now}; bh={body_hash};\r\n"
            f" h={_folded(names)};\r\n"
            " b="
        ).encode("ascii")


def signer(settings: Settings) -> DkimSigner:
    """Return the signer for ``MAIL_FROM``'s domain; without a key it signs nothing. Raises ``SettingsError``."""
    keys = dkim_keys.read(settings.dkim_private_key) if settings.dkim_private_key else ()
    domain = parse_sender(settings.mail_from or "").domain
    return DkimSigner(domain, dkim_keys.selectors(keys, settings.dkim_selector))


def _in_lines(signature: bytes) -> bytes:
    text = base64.b64encode(signature)
    return b"\r\n ".join(text[start : start + _LINE] for start in range(0, len(text), _LINE)) + b"\r\n"


def _chosen_fields(head: bytes) -> tuple[tuple[str, ...], bytes]:
    """Return the names for ``h=`` and the canonical fields in that order; repeated ones from the last upward."""
    by_name: dict[bytes, list[bytes]] = {}
    for line in (_FOLDING.sub(b"", head) if b"\r\n " in head or b"\r\n\t" in head else head).split(b"\r\n"):
        its_name, _, value = line.partition(b":")
        by_name.setdefault(its_name.rstrip().lower(), []).append(value)
    names, fields = list[str](), list[bytes]()
    for name, key, is_oversigned in _SIGNED:
        values = by_name.get(key, ())
        names += [name] * (len(values) + is_oversigned)
        for value in reversed(values):
            fields += (key, b":", _relaxed_value(value), b"\r\n")
    return tuple(names), b"".join(fields)


def _relaxed_field(line: bytes) -> bytes:
    """Return one unfolded header field in relaxed form, without a line end (RFC 6376, 3.4.2)."""
    name, _, value = line.partition(b":")
    return name.strip().lower() + b":" + _relaxed_value(value)


def _relaxed_value(value: bytes) -> bytes:
    return (_single_spaced(value) if b"\t" in value or b"  " in value else value).strip(b" \t\r\n")


def _relaxed_body(body: bytes) -> bytes:
    """Return a body in relaxed form (RFC 6376, 3.4.4)."""
    body = _single_spaced(body).replace(b" \r\n", b"\r\n").removesuffix(b" ").removesuffix(b"\r\n")
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n" if body else b""


def _single_spaced(text: bytes) -> bytes:
    """Return ``text`` with one space for each run of spaces and tabs; a twentieth of the time that a pattern takes."""
    text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


@functools.lru_cache(64)
def _folded(names: tuple[str, ...]) -> str:
    """Return ``names`` with colons between them, in lines of 70 characters or so."""
    lines = [""]
    for number, name in enumerate(names):
        part = name + (":" if number < len(names) - 1 else "")
        if len(lines[-1]) + len(part) > 70:
            lines.append("")
        lines[-1] += part
    return "\r\n ".join(lines)
