"""``python -m tests.bench.mail_sink PORT FILE``: takes every mail; writes recipient and time into FILE."""

import asyncio
import sys
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Sink:
    """Notes who was sent a mail, and when it was accepted."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", buffering=1, encoding="ascii")

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        self._file.write(f"{envelope.rcpt_tos[0]} {time.time()}\n")
        return "250 accepted"


async def main(port: int, file: Path) -> None:
    """Listen until killed."""
    loop, sink = asyncio.get_running_loop(), Sink(file)
    server = await loop.create_server(lambda: SMTP(sink, hostname="sink.example", loop=loop), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
