"""Our own signatures under every mail (RFC 6376, RFC 8463), so that no relay's signature is needed.

Canonical form ``relaxed/relaxed``, no ``l=``. The mail must leave as it was signed: its body is 7bit or
quoted-printable already, so no relay has a reason to encode it again (docs/decisions/dkim.md).
"""

import base64
import functools
import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from petition.core import dkim_keys
from petition.core.dkim_keys import DkimKey
from petition.core.sender import parse_sender
from petition.core.settings import Settings

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

_SIGNED = tuple((name, name.lower().encode()) for name in SIGNED)
_FOLDING = re.compile(rb"\r\n(?=[ \t])")
_LINE = 76  # characters of base64 on one line of the header


class DkimSigner:
    """Signs mails of one domain, once for each key."""

    def __init__(self, domain: str, keys: Sequence[tuple[str, DkimKey]]) -> None:
        self._domain = domain.lower()
        self._keys = tuple(keys)

    def sign(self, content: bytes) -> bytes:
        """Return ``content``, a whole mail with CRLF line ends, with our signatures in front."""
        if not self._keys:
            return content
        head, _, body = content.partition(b"\r\n\r\n")
        names, fields = _chosen_fields(head + b"\r\n")
        body_hash = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode("ascii")
        now = int(time.time())
        return b"".join(self._header(selector, key, names, fields, body_hash, now) for selector, key in self._keys) + (
            content
        )

    def _header(
        self, selector: str, key: DkimKey, names: tuple[str, ...], fields: bytes, body_hash: str, now: int
    ) -> bytes:
        unsigned = (
            f"DKIM-Signature: v=1; a={key.algorithm}-sha256; c=relaxed/relaxed; d={self._domain};\r\n"
            f" s={selector}; t={now}; bh={body_hash};\r\n"
            f" h={_folded(names)};\r\n"
            " b="
        ).encode("ascii")
        signature = _signature(key, fields + _relaxed_field(_FOLDING.sub(b"", unsigned)))
        text = base64.b64encode(signature).decode("ascii")
        lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
        return unsigned + "\r\n ".join(lines).encode("ascii") + b"\r\n"


def signer(settings: Settings) -> DkimSigner:
    """Return the signer for ``MAIL_FROM``'s domain; without a key it signs nothing. Raises ``SettingsError``."""
    keys = dkim_keys.read(settings.dkim_private_key) if settings.dkim_private_key else ()
    domain = parse_sender(settings.mail_from or "").domain
    return DkimSigner(domain, dkim_keys.selectors(keys, settings.dkim_selector))


def _signature(key: DkimKey, signed: bytes) -> bytes:
    if isinstance(key.private, RSAPrivateKey):
        return key.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return key.private.sign(hashlib.sha256(signed).digest())  # RFC 8463, 3: Ed25519 signs the hash


def _chosen_fields(head: bytes) -> tuple[tuple[str, ...], bytes]:
    """Return the names for ``h=`` and the canonical fields in that order; repeated ones from the last upward."""
    by_name: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for line in _FOLDING.sub(b"", head).split(b"\r\n"):
        by_name[line.partition(b":")[0].strip().lower()].append(line)
    names, fields = list[str](), list[bytes]()
    for name, key in _SIGNED:
        present = by_name.get(key, [])
        names += [name] * (len(present) + (name in OVERSIGNED))
        fields += [_relaxed_field(line) + b"\r\n" for line in reversed(present)]
    return tuple(names), b"".join(fields)


def _relaxed_field(line: bytes) -> bytes:
    """Return one unfolded header field in relaxed form, without a line end (RFC 6376, 3.4.2)."""
    name, _, value = line.partition(b":")
    return name.strip().lower() + b":" + _single_spaced(value).strip(b" \t\r\n")


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
