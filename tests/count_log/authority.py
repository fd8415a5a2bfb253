"""A time-stamping authority of our own (RFC 3161): ``openssl ts`` behind HTTP."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.running import free_port

SETTINGS = """
[ tsa ]
default_tsa = own
[ own ]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/tsa.pem
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha512
ess_cert_id_chain = no
[ extensions ]
extendedKeyUsage = critical, timeStamping
basicConstraints = CA:FALSE
"""


@dataclass
class Authority:
    """Stamps what it is asked for; ``replies`` are sent in place of a stamp while there are any."""

    folder: Path
    url: str
    asked: list[bytes] = field(default_factory=list)
    replies: list[web.Response] = field(default_factory=list)
    piece: int = 0  # bytes of a stamp that are sent at once; 0: all

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a query."""
        self.asked.append(await request.read())
        if self.replies:
            return self.replies.pop(0)
        query, reply = self.folder / "query.tsq", self.folder / "reply.tsr"
        query.write_bytes(self.asked[-1])
        await asyncio.to_thread(
            openssl, "ts", "-reply", "-config", f"{self.folder}/tsa.cnf", "-queryfile", query, "-out", reply
        )
        if self.piece:
            return await self._send_in_pieces(request, reply.read_bytes())
        return web.Response(body=reply.read_bytes(), content_type="application/timestamp-reply")

    async def _send_in_pieces(self, request: web.Request, content: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/timestamp-reply"})
        await response.prepare(request)
        for start in range(0, len(content), self.piece):
            await response.write(content[start : start + self.piece])
            await asyncio.sleep(0.001)  # a packet of its own
        await response.write_eof()
        return response

    def verifies(self, content: Path, stamp: Path) -> bool:
        """Return whether the authority's certificate verifies a stamp of this content."""
        arguments = "-verify", "-data", content, "-in", stamp, "-CAfile", self.folder / "ca.pem"
        done = subprocess.run(["openssl", "ts", *arguments], capture_output=True, check=False)
        return done.returncode == 0


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], capture_output=True, check=True)


def _make_certificates(folder: Path) -> None:
    (folder / "tsa.cnf").write_text(SETTINGS.format(folder=folder))
    (folder / "serial").write_text("01\n")
    new = "req", "-newkey", "rsa:2048", "-nodes"
    ca = folder / "ca.pem", folder / "ca.key"
    openssl(*new, "-x509", "-subj", "/CN=Own Root", "-days", "9", "-out", ca[0], "-keyout", ca[1])
    openssl(*new, "-subj", "/CN=Own Authority", "-out", folder / "tsa.csr", "-keyout", folder / "tsa.key")
    signed = "x509", "-req", "-in", folder / "tsa.csr", "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial", "-days", "9"
    openssl(*signed, "-extfile", folder / "tsa.cnf", "-extensions", "extensions", "-out", folder / "tsa.pem")


@asynccontextmanager
async def authority(folder: Path) -> AsyncIterator[Authority]:
    """Run an authority on loopback."""
    await asyncio.to_thread(_make_certificates, folder)
    port = free_port()
    own = Authority(folder, f"http://127.0.0.1:{port}/tsr")
    application = web.Application()
    application.router.add_post("/tsr", own.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield own
    finally:
        await runner.cleanup()
