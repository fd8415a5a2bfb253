"""The line with which Tor begins a connection if it exports circuit ids (``HiddenServiceExportCircuitID haproxy``).

It is HAProxy's PROXY protocol, version 1, with an address of Tor's own making: its last two groups are the circuit's
number. Every circuit of a client gets another one, so the line says which requests belong together, and not whose.
"""

import re

MAX_LENGTH = 107  # bytes, with the line's end (PROXY protocol, 2.1)
BEGINNING = b"PROXY "
_LINE = re.compile(rb"PROXY TCP6 fc00:dead:beef:4dad::([0-9a-f]{1,4}):([0-9a-f]{1,4}) ::1 [0-9]{1,5} [0-9]{1,5}\r\n")


class BrokenLine(ValueError):
    """The connection begins with a PROXY line, but not with one that Tor writes."""


def parse(data: bytes) -> tuple[str | None, bytes] | None:
    """Return (circuit, what follows the line) for the first bytes of a connection; (None, ``data``) without a line.

    None while more bytes are needed to know. Raises ``BrokenLine``.
    """
    if data[: len(BEGINNING)] != BEGINNING[: len(data)]:
        return None, data
    end = data.find(b"\n", 0, MAX_LENGTH) + 1
    if not end:
        if len(data) >= MAX_LENGTH:
            raise BrokenLine
        return None
    match = _LINE.fullmatch(data[:end])
    if match is None:
        raise BrokenLine
    high, low = (int(group, 16) for group in match.groups())
    return f"{high:x}:{low:x}", data[end:]
