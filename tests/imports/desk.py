"""An organizer who imports files: uploads and steps through HTTP, the worker's part called directly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from petition.core.encryption import Wrapper
from petition.imports import worker
from petition.imports.model import ImportJob, import_job_in
from tests import rows
from tests.running import KEY, SLUG, Installation

WRAPPER = Wrapper([KEY])
LANGUAGES = ("en", "ru")
IMPORT = f"/organizer/{SLUG}/import"
ONE = "SELECT i.*, NULL AS organizer_name FROM intake i ORDER BY number DESC LIMIT 1"

FORM = """\
Timestamp,Full name,E-mail,City,Country,May we show your name?
2022/03/05 10:00:00 AM GMT+3,Vera Novak,vera@letters.example,Riga,Latvia,public
2022/03/06 8:15:00 PM GMT+3,Пётр Иванов,petr@letters.example,Казань,Россия,organizers
2022/03/06 8:16:00 PM GMT+3,Ann Ek,,Ufa,RU,
"""


def text_of(answer: httpx2.Response) -> str:
    """Return a page's text without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


@dataclass
class Carrier:
    """An organizer with a file, and the letter's installation."""

    site: Installation
    client: httpx2.AsyncClient

    async def upload(self, content: bytes, name: str = "list.csv") -> httpx2.Response:
        """Send a file as a browser does."""
        return await self.client.post(IMPORT, files={"file": (name, content, "application/octet-stream")})

    async def work(self) -> None:
        """Run the worker's steps until none is left."""
        while await worker.step(self.site.database, WRAPPER, LANGUAGES):
            continue

    async def newest(self) -> ImportJob:
        """Return the newest import."""
        async with self.site.database.connection() as conn:
            row = await conn.fetchrow(ONE)
        assert row is not None
        return import_job_in(row)

    async def see(self) -> httpx2.Response:
        """Open the newest import's page."""
        return await self.client.get(f"{IMPORT}/{(await self.newest()).number}")

    async def do(self, step: str, more: Mapping[str, str] = {}) -> httpx2.Response:
        """Press a button on the newest import's page, and run the worker."""
        now = await self.newest()
        form = {"step": step, "changed": str(now.changed), **more}
        answer = await self.client.post(f"{IMPORT}/{now.number}", data=form)
        await self.work()
        return answer

    async def check(self, more: Mapping[str, str] = {}) -> httpx2.Response:
        """Accept the guessed columns, changed by ``more``, and start the dry run."""
        plan = (await self.newest()).plan
        assert plan is not None
        columns = {f"c{index}": name for index, name in enumerate(plan.columns)}
        return await self.do("check", columns | {"kind": "person", "visibility": "organizers"} | dict(more))

    async def bring(self, content: bytes, name: str = "list.csv", more: Mapping[str, str] = {}) -> ImportJob:
        """Upload, accept the guessed columns, and import all of it."""
        assert (await self.upload(content, name)).status_code == 303
        await self.work()
        assert (await self.check(more)).status_code == 303
        assert (await self.do("start")).status_code == 303
        return await self.newest()

    async def counted(self) -> dict[str, int]:
        """Return the count, checked against the rows."""
        async with self.site.database.connection() as conn:
            return await rows.check_count(conn, await rows.letter(conn))
