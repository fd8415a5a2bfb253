"""The seal of a letter in one file: a signed note at its end, over every byte in front of it.

What stands behind the note is always the same, so that nothing can be added there either.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from petition.core import signed_notes
from petition.core.signed_notes import BadNote, NoteKey, NoteSigner
from petition.mirrors.manifest import moment_of
from petition.mirrors.model import BadMirror
from petition.mirrors.pages import iso

SEAL_MARK = "<!--seal-->"  # in the template
BEGIN = b'<footer class="cols"><details><summary>Ed25519</summary><pre id="seal">\n'
END = b"</pre></details></footer>\n</body>\n</html>\n"
MAX_FILE = 32 * 1024 * 1024  # bytes
_TEXT = re.compile(
    r"([^\s]+)/copy/([a-z0-9-]{3,64})\nwritten (\S+)\ncounted (\S+)\ntotal ([0-9]{1,12})\nbytes ([0-9]{1,9})\n"
    r"sha256 ([0-9a-f]{64})\n"
)


@dataclass(frozen=True, slots=True)
class Seal:
    """What the installation says of a file."""

    host: str
    letter: str
    written_at: datetime
    counted_at: datetime
    total: int
    size: int  # bytes in front of the note
    sha256: str  # of these


def seal(html: str, signer: NoteSigner, values: Seal) -> bytes:
    """Return the file: the page with its seal. ``size`` and ``sha256`` of ``values`` are computed here."""
    head = html.partition(SEAL_MARK)[0].encode() + BEGIN
    text = (
        f"{values.host}/copy/{values.letter}\nwritten {iso(values.written_at)}\ncounted {iso(values.counted_at)}\n"
        f"total {values.total}\nbytes {len(head)}\nsha256 {hashlib.sha256(head).hexdigest()}\n"
    )
    return head + signer.sign(text).encode() + END


def is_sealed(content: bytes) -> bool:
    return BEGIN in content and content.endswith(END)


def verified(content: bytes, public_key: bytes | None) -> tuple[Seal, NoteKey]:
    """Return the seal of a file, and the key that made it; ``public_key`` None takes the key that the file names.

    Raises ``BadMirror``.
    """
    front, begin, rest = content.rpartition(BEGIN)
    if not begin or not rest.endswith(END):
        raise BadMirror("this file has no seal at its end: it is no copy of a letter, or it was cut or saved anew")
    head, note = front + begin, rest.removesuffix(END)
    try:
        text = note.decode()
        names = [name for name, _, _ in signed_notes.signatures(text)]
        key = NoteKey(names[0], public_key) if public_key else _named_key(head)
        match = _TEXT.fullmatch(signed_notes.verify(text, key))
    except (BadNote, UnicodeDecodeError) as bad:
        raise BadMirror(f"the seal does not hold: {bad}") from None
    if match is None:
        raise BadMirror("the seal is none of a copy in one file")
    seal = Seal(match[1], match[2], _moment(match[3]), _moment(match[4]), int(match[5]), int(match[6]), match[7])
    if len(head) != seal.size or hashlib.sha256(head).hexdigest() != seal.sha256:
        raise BadMirror("the file is not the one that was signed")
    return seal, key


def _named_key(head: bytes) -> NoteKey:
    """Return the key that stands in front of the seal: the last one, as the letter itself may speak of others."""
    named = re.findall(rb"--key ([^\s<&]{1,400})", head)
    return signed_notes.read_key(named[-1].decode("ascii", "replace") if named else "")


def _moment(text: str) -> datetime:
    try:
        return moment_of(text)
    except (ValueError, OverflowError):
        raise BadMirror("the seal has no time") from None
