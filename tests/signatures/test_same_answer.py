"""Nobody can learn who has signed: known and unknown addresses get the same answer by the same statements."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from petition.core.database import Connection, Database
from petition.letters.status_queries import LOOK
from petition.web import stored_copies
from tests import rows
from tests.running import SLUG, Installation, installation

# The board's look twice a second, and what the driver asks for itself the first time a connection is used.
BESIDE = ("FROM letter l LEFT JOIN published_count", LOOK, "typeinfo_tree", "set_config('jit'")
TOKEN = re.compile(r"=[\w-]{43};")  # of a cookie
WHO = ("nobody", "pending", "public", "organizers", "counted", "withdrawn", "removed", "barred", "held", "imported")


@dataclass
class Watched:
    """An installation, and every statement that its web process has issued."""

    site: Installation
    statements: list[str] = field(default_factory=list)

    async def post(self, path: str, form: dict[str, str]) -> tuple[Any, ...]:
        """Send a form; return all that can be observed of it, without the time and what was typed."""
        self.statements.clear()
        # Uncompressed, since the address that comes back in a page may be compressed well or badly.
        headers = self.site.new_network() | {"accept-encoding": "identity"}
        answer: httpx2.Response = await self.site.client.post(path, data=form, headers=headers)
        issued = [statement for statement in self.statements if not any(mark in statement for mark in BESIDE)]
        shapes = [(name, TOKEN.sub("=…;", value)) for name, value in answer.headers.multi_items()]
        seen = sorted((name, value) for name, value in shapes if name != "date")
        return answer.status_code, seen, answer.text.replace(form["email"], "…"), issued


@pytest.fixture
async def watched(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    """Give an installation whose statements are written down."""
    statements: list[str] = []
    monkeypatch.setattr(stored_copies, "INTERVAL", 3600.0)  # they read what pages need, whoever has signed meanwhile

    def listening(lend: Callable[..., AbstractAsyncContextManager[Connection]]) -> Callable[..., Any]:
        @asynccontextmanager
        async def lend_and_listen(self: Database, *seconds: float) -> AsyncIterator[Connection]:
            async with lend(self, *seconds) as conn:
                with conn.query_logger(lambda record: statements.append(record.query)):
                    yield conn

        return lend_and_listen

    for name in ("connection", "probe"):
        monkeypatch.setattr(Database, name, listening(getattr(Database, name)))
    async with installation(database_url, tmp_path) as site:
        yield Watched(site, statements)


def address(who: str) -> str:
    """Return an address; all are of the same length, as that much may be seen of a request by anybody."""
    return f"{who:_<10}@letters.example"


async def populate(watched: Watched) -> None:
    """Have one mailbox in every state there is, and the board know of all that moved by it."""
    site = watched.site
    async with site.database.transaction() as conn:
        letter = await rows.letter(conn)
        for who in WHO[1:]:
            fields = {"organization_en": "North Pier"} if who == "held" else {}
            visibility = who if who in {"organizers", "counted"} else "public"
            await rows.add_pending(conn, letter, [address(who)], visibility=visibility, **fields)
        ids = {row["digest"]: row["id"] for row in await conn.fetch("SELECT id, digest FROM pending")}
    tokens = {who: rows.token(letter, ids[rows.digest_of(letter, address(who))]) for who in WHO[1:]}
    for who in WHO[2:]:
        assert (await site.client.post(f"/en/confirm/{tokens[who]}")).status_code == 303
    await site.client.post(f"/en/signature/{tokens['withdrawn']}", data={"action": "withdraw"})
    async with site.database.transaction() as conn:
        for who in ("removed", "barred"):
            digest = rows.digest_of(letter, address(who))
            await conn.execute("UPDATE signature SET state = 'removed' WHERE digest = $1", digest)
        await conn.execute("INSERT INTO bar (letter, digest) VALUES ($1, $2)", letter.id, digest)
        imported = rows.digest_of(letter, address("imported"))
        await conn.execute("UPDATE signature SET import = 1 WHERE digest = $1", imported)
    states = await rows.rows_of(site.database, "SELECT state, count(*) AS n FROM signature GROUP BY state")
    assert {row["state"]: row["n"] for row in states} == {"confirmed": 4, "removed": 2, "withdrawn": 1, "held": 1}
    watched.statements.clear()
    async with asyncio.timeout(120):
        assert (await site.client.get(f"/en/{SLUG}")).status_code == 200
        # All this has been taken in when there is nothing else but looks.
        while len(last := watched.statements[-4:]) < 4 or not all(LOOK in statement for statement in last):
            await asyncio.sleep(0.02)


async def test_signing_and_finding(watched: Watched) -> None:
    await populate(watched)
    for path in (f"/en/{SLUG}/sign", f"/en/{SLUG}/find"):
        forms = [await watched.site.form(email=address(who)) for who in ("nobody", *WHO)]
        _, *observations = [await watched.post(path, form) for form in forms]  # the first one only warms up
        assert observations[0][0] == 303
        assert len(observations[0][3]) > 3, "no statement was seen"
        for who, observation in zip(WHO, observations, strict=True):
            assert observation == observations[0], who
        assert not any("signature" in statement for statement in observations[0][3])


async def test_signing_with_errors_and_without_a_challenge(watched: Watched) -> None:
    await populate(watched)
    for changes in ({"consent": ""}, {"version": "0" * 64}, {"altcha": ""}):
        forms = [await watched.site.form(email=address(who)) | changes for who in ("nobody", *WHO)]
        _, *observations = [await watched.post(f"/en/{SLUG}/sign", form) for form in forms]
        statuses = {observation[0] for observation in observations}
        statements = {str(observation[3]) for observation in observations}
        assert statuses == {422}
        assert len(statements) == 1


async def test_a_wrong_code(watched: Watched) -> None:
    await populate(watched)
    forms = [{"email": address(who), "code": "000000"} for who in ("nobody", *WHO)]
    _, *observations = [await watched.post(f"/en/{SLUG}/confirm", form) for form in forms]
    assert observations[0][0] == 422
    assert all(observation == observations[0] for observation in observations)
    assert any("FROM pending" in statement for statement in observations[0][3])
