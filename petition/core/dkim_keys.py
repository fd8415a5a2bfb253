"""DKIM's private keys and the DNS records that publish them (RFC 6376, RFC 8463)."""

import base64
import re
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from petition.core.errors import SettingsError

RSA_BITS = 2048  # longer ones do not fit into one answer of many name servers
MIN_RSA_BITS = 1024  # RFC 8301: shorter ones are refused by receivers
MAX_TXT = 255  # octets of one string of a TXT record (RFC 1035, 3.3.14)

_PKCS1 = padding.PKCS1v15()
_HASHED = Prehashed(hashes.SHA256())
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DkimKey:
    """One private key. ``algorithm`` is as in the record's ``k=``: ``rsa`` or ``ed25519``."""

    algorithm: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def public_text(self) -> str:
        """Return the ``p=`` of the record."""
        public = self.private.public_key()
        if isinstance(self.private, Ed25519PrivateKey):
            form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        else:
            form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return base64.b64encode(public.public_bytes(*form)).decode("ascii")

    @property
    def record(self) -> str:
        """Return the TXT record's text, in one piece."""
        return f"v=DKIM1; k={self.algorithm}; p={self.public_text}"

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of what has this SHA-256 ``digest``."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(digest, _PKCS1, _HASHED)
        return self.private.sign(digest)  # RFC 8463, 3: Ed25519 signs the hash


def new_pair() -> str:
    """Return a new RSA and a new Ed25519 key as one line of ASCII, which ``read`` takes."""
    pair = (generate_private_key(public_exponent=65537, key_size=RSA_BITS), Ed25519PrivateKey.generate())
    return "".join(_pem(key) for key in pair).strip().replace("\n", "\\n")


def read(text: str) -> tuple[DkimKey, ...]:
    """Return the keys in ``text``: PEM blocks, whose line ends may be written as ``\\n``.

    Raises ``SettingsError`` if there is none, one that cannot be read, or two of one kind.
    """
    blocks = [match[0] for match in _PEM.finditer(text.replace("\\n", "\n").replace("\r", ""))]
    keys = tuple(_key(block) for block in blocks)
    if not keys or len({key.algorithm for key in keys}) < len(keys):
        raise SettingsError("DKIM_PRIVATE_KEY must be one RSA or Ed25519 key as PEM, or one of each")
    return keys


def selectors(keys: tuple[DkimKey, ...], selector: str) -> list[tuple[str, DkimKey]]:
    """Return each key with its selector: the first has the plain one, the second its algorithm behind it."""
    return [(selector if number == 0 else f"{selector}-{key.algorithm}", key) for number, key in enumerate(keys)]


def txt_strings(record: str) -> str:
    """Return a TXT record as zone files have it: quoted strings of 255 characters at most."""
    parts = [record[start : start + MAX_TXT] for start in range(0, len(record), MAX_TXT)]
    return " ".join(f'"{part}"' for part in parts)


def _pem(key: RSAPrivateKey | Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def _key(block: str) -> DkimKey:
    try:
        key = serialization.load_pem_private_key(block.encode("ascii"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError("DKIM_PRIVATE_KEY holds a key that cannot be read: PEM without a password") from None
    if isinstance(key, Ed25519PrivateKey):
        return DkimKey("ed25519", key)
    if isinstance(key, RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
        return DkimKey("rsa", key)
    raise SettingsError("DKIM_PRIVATE_KEY must be RSA of 1024 bits or more, or Ed25519")
