"""The Nu HTML checker on documents as they were served, many in one run of Java."""

import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Error, Response

from petition.core.resources import PACKAGE

SUFFIXES = {"text/html": ".html", "image/svg+xml": ".svg"}
# It guesses a page's language from its words; a letter in English with 200 Russian names is in English all the same.
GUESS = "This document appears to be written in"


@cache
def jar() -> str:
    """Return the path of the checker; the tool finds or installs it."""
    known = os.environ.get("VNU_JAR")
    if known:
        return known
    tool = PACKAGE.parent / "tools" / "vnu.sh"
    return subprocess.run(["sh", str(tool)], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@dataclass
class Documents:
    """The documents that a browser was served: the page's address and its bytes, each text once; and every path."""

    pages: dict[bytes, str] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)
    _reading: list[asyncio.Task[None]] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Take every document that the browser gets from now on."""
        context.on("response", lambda response: self._reading.append(asyncio.ensure_future(self._read(response))))

    async def _read(self, response: Response) -> None:
        if response.headers.get("content-type", "").startswith("text/html") and response.status not in range(300, 400):
            self.paths.add(urlsplit(response.url).path)
            try:
                self.pages[await response.body()] = f"{response.request.method} {response.url}"
            except Error:  # the browser has gone on before its body was read
                return

    async def problems(self) -> list[str]:
        """Return what the checker has against any of them."""
        await asyncio.gather(*self._reading)
        assert self.pages
        return await asyncio.to_thread(problems, [(name, ".html", body) for body, name in self.pages.items()])


def problems(documents: Iterable[tuple[str, str, bytes]]) -> list[str]:
    """Return the checker's errors and warnings on documents, each a name, the ending of its file, and its bytes."""
    with tempfile.TemporaryDirectory() as folder:
        names: dict[str, str] = {}
        for number, (name, suffix, body) in enumerate(documents):
            path = Path(folder, f"{number}{suffix}")
            path.write_bytes(body)
            names[path.name] = name
        command = ["java", "-Xss8m", "-jar", jar(), "--format", "json", "--stdout", "--also-check-svg", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    messages = json.loads(done.stdout)["messages"]
    return sorted({_line(message, names) for message in messages if GUESS not in message["message"]})


def _line(message: dict[str, str], names: dict[str, str]) -> str:
    name = names.get(message.get("url", "").rpartition("/")[2], "?")
    return f"{name}: {message['type']}: {message['message']} | {message.get('extract', '').strip()}"
