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


class Varnish:
    """Varnish in front of the web, which can be stopped and started again."""

    def __init__(self, folder: Path, web_port: int, port: int, *, is_stubborn: bool = False) -> None:
        self._folder, self._port = folder, port
        text = (DEPLOY / "varnish.vcl").read_text(encoding="utf-8")
        text = replace_text(text, '.port = "8000";', f'.port = "{web_port}";')
        text = replace_text(text, "Bearer change-this", f"Bearer {TOKEN}")
        self._text = replace_text(text, *STUBBORN) if is_stubborn else text
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, old: str = "", new: str = "") -> None:
        """Start it, with ``old`` in its file replaced; return when it takes connections."""
        text = replace_text(self._text, old, new) if old else self._text
        file = self._folder / "petition.vcl"
        file.write_text(text, encoding="utf-8")
        command = [program("varnishd"), "-F", "-j", "none", "-a", f"127.0.0.1:{self._port}", "-f", str(file)]
        command += ["-n", str(self._folder / "varnish"), "-s", "malloc,32m", "-p", "http_gzip_support=off"]
        log = self._folder / "varnish.log"
        with log.open("wb") as out:
            environ = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
            self._process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, env=environ)
        await until_open(self._process, self._port, log)

    async def stop(self) -> None:
        """End it, if it runs."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await asyncio.wait_for(self._process.wait(), 60)
        self._process = None
