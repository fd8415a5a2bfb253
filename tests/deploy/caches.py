"""Varnish with the file in deploy/ as it stands, but for ports and token; and a relay that counts what reaches us."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.deploy.proxies import DEPLOY, program, replace_text, until_open
from tests.running import free_port

TOKEN = "a-token-of-the-tests"
# A cache that keeps everything for an hour whatever the web says, as some CDNs do: only purges help.
STUBBORN = ("set beresp.keep = 60s;", "set beresp.keep = 60s;\n    set beresp.ttl = 3600s;")


class Relay:
    """Passes connections on to the web, and counts the requests; ``cut`` ends them all, and takes no more."""

    def __init__(self, web_port: int) -> None:
        self._web_port = web_port
        self._writers: set[asyncio.StreamWriter] = set()
        self.requests = 0
        self.port = free_port()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)

    async def cut(self) -> None:
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        web_reader, web_writer = await asyncio.open_connection("127.0.0.1", self._web_port)
        self._writers |= {writer, web_writer}
        with contextlib.suppress(OSError):
            await asyncio.gather(self._copy(reader, web_writer, is_request=True), self._copy(web_reader, writer))
        self._writers -= {writer, web_writer}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_request: bool = False
    ) -> None:
        try:
            while data := await reader.read(65536):
                if is_request and b"/healthz" not in data:
                    self.requests += data.count(b" HTTP/1.1\r\n")
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def relaying(web_port: int) -> AsyncIterator[Relay]:
    """Run a relay until the block ends."""
    relay = Relay(web_port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.cut()


@asynccontextmanager
async def varnish(folder: Path, web_port: int, port: int, *, is_stubborn: bool = False) -> AsyncIterator[None]:
    """Run Varnish in front of the web until the block ends."""
    text = (DEPLOY / "varnish.vcl").read_text(encoding="utf-8")
    text = replace_text(text, '.port = "8000";', f'.port = "{web_port}";')
    text = replace_text(text, "Bearer change-this", f"Bearer {TOKEN}")
    if is_stubborn:
        text = replace_text(text, *STUBBORN)
    (folder / "petition.vcl").write_text(text, encoding="utf-8")
    command = [program("varnishd"), "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f", str(folder / "petition.vcl")]
    command += ["-n", str(folder / "varnish"), "-s", "malloc,32m", "-p", "http_gzip_support=off"]
    with (folder / "varnish.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"], "HOME": str(folder)}
        )
    try:
        await until_open(process, port, folder / "varnish.log")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)
