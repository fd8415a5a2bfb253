"""Forms are let in a few at a time while a batch has room; the others wait in fair lines, briefly, or are refused."""

import asyncio
import gzip
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from html import unescape
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from petition.core import patience
from petition.core.batching import Batcher
from petition.core.client_networks import ClientNetwork, of_client
from petition.core.errors import Crowded
from petition.web import form_line
from petition.web.form_line import PER_TURN, FormLine
from petition.web.prepared_pages import ROOM, PreparedPage
from tests import rows
from tests.pages import check_page
from tests.running import SLUG, Installation, installation


def at(address: str) -> ClientNetwork:
    """Return the network of the client at ``address``."""
    return of_client(address, (), ())


HERE, ALICE = at("198.51.101.1"), at("2a00:1450:4001::7")
CROWD = [at(f"203.{n}.114.9") for n in range(40)]


class Gate:
    """Room for so many, and the line in front of it."""

    def __init__(self, room: int = 10**6, max_waiting: int = 1000) -> None:
        self.room = room
        self.entered: list[ClientNetwork] = []
        self.refused: list[ClientNetwork] = []
        self.line = FormLine(self._take, 10.0, name="test", max_waiting=max_waiting)

    def _take(self) -> bool:
        self.room = max(self.room, 0) - 1
        return self.room >= 0

    async def come(self, network: ClientNetwork = HERE) -> None:
        try:
            await self.line.enter(network)
            self.entered.append(network)
        except Crowded:
            self.refused.append(network)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the line's clock, which stands still until a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(form_line, "clock", lambda: now[0])
    return now


async def until_settled(*tasks: Awaitable[object]) -> None:
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)


async def test_one_alone_does_not_wait() -> None:
    entering = Gate().line.enter(HERE)
    with pytest.raises(StopIteration):
        entering.send(None)


async def test_between_a_few_forms_and_the_next_ones_the_loop_goes_round() -> None:
    gate, numbers = Gate(), []

    async def serve_others() -> None:
        while len(gate.entered) < 10 * PER_TURN:
            numbers.append(len(gate.entered))
            await asyncio.sleep(0)

    await until_settled(*(gate.come(network) for network in CROWD * 2), serve_others())
    assert max(after - before for before, after in pairwise(numbers)) <= PER_TURN


async def test_while_there_is_no_room_they_wait_and_then_networks_take_turns() -> None:
    gate = Gate(room=0)
    tasks = [asyncio.create_task(gate.come(HERE)) for _ in range(20)]
    tasks.append(asyncio.create_task(gate.come(ALICE)))
    await asyncio.sleep(0)
    assert len(gate.line) == 21
    gate.room = 2
    async with asyncio.timeout(60):
        while len(gate.entered) < 2:
            await asyncio.sleep(0.01)
    assert gate.entered == [HERE, ALICE]
    gate.room = 100
    await until_settled(*tasks)
    assert Counter(gate.entered) == {HERE: 20, ALICE: 1}


async def test_a_crowd_that_came_at_once_waits_longer_than_one_that_does_not_end(moment: list[float]) -> None:
    gate = Gate(room=0)
    first = asyncio.create_task(gate.come())
    await asyncio.sleep(0)
    moment[0] += 3.9  # of 0.4 times 10 seconds
    await asyncio.sleep(0.05)
    assert not first.done()
    later = asyncio.create_task(gate.come(ALICE))
    await asyncio.sleep(0)
    moment[0] += 0.2
    await until_settled(first)
    assert gate.refused == [HERE]
    moment[0] += 1.0  # in a line that has not been empty for so long: 0.15 times 10 seconds
    await asyncio.sleep(0.05)
    assert not later.done()
    moment[0] += 0.4
    await until_settled(later)
    assert gate.refused == [HERE, ALICE]
    last = asyncio.create_task(gate.come())  # it was empty
    await asyncio.sleep(0)
    moment[0] += 3.9
    gate.room = 1
    await until_settled(last)
    assert gate.entered == [HERE]


async def test_the_wait_counts_as_one_for_the_database(moment: list[float]) -> None:
    gate = Gate(room=0)

    async def come() -> float | None:
        patience.begin(5.0, is_total=True)
        await gate.come()
        return patience.left()

    task = asyncio.create_task(come())
    await asyncio.sleep(0)
    moment[0] += 3.0
    gate.room = 1
    async with asyncio.timeout(60):
        assert await task == 2.0


async def test_the_longest_line_pays_for_who_comes_when_too_many_wait() -> None:
    gate = Gate(room=0, max_waiting=3)
    tasks = [asyncio.create_task(gate.come(network)) for network in (HERE, HERE, ALICE, CROWD[0])]
    await until_settled(tasks[0])
    assert gate.refused == [HERE]
    gate.room = 10
    await until_settled(*tasks)
    assert Counter(gate.entered) == {HERE: 1, ALICE: 1, CROWD[0]: 1}


async def test_who_leaves_the_line_does_not_hold_it_up() -> None:
    gate = Gate(room=0)
    leaving, staying = (asyncio.create_task(gate.come(network)) for network in (HERE, ALICE))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    gate.room = 1
    await until_settled(staying)
    assert gate.entered == [ALICE]


async def test_who_would_wait_too_long_is_refused_before_waiting(moment: list[float]) -> None:
    """Forty forms a second are let in, and each may wait for a second and a half: sixty may be in the line."""
    gate = Gate()
    tasks: list[asyncio.Task[None]] = []

    async def come(networks: Sequence[ClientNetwork]) -> None:
        tasks.extend(asyncio.create_task(gate.come(network)) for network in networks)
        for _ in range(8):
            await asyncio.sleep(0)

    for _ in range(4):
        await come(CROWD[:10])
        moment[0] += 0.25
    gate.room = 0
    await come(CROWD[:5])
    moment[0] += 3.9
    await come([*CROWD, *CROWD[:30]])
    assert not gate.line.refuses(CROWD[0])  # a crowd that has come at once
    moment[0] += 0.2
    while len(gate.refused) < 5:
        await asyncio.sleep(0.001)
    assert len(gate.line) == 70
    assert gate.line.refuses(CROWD[0])  # with two of its network in the line, as many as of any other
    assert not gate.line.refuses(ALICE)  # of whose network none is
    for task in tasks[-20:]:
        task.cancel()
    await asyncio.gather(*tasks[-20:], return_exceptions=True)
    assert len(gate.line) == 50
    assert not gate.line.refuses(CROWD[0])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("is_gzip", [True, False])
def test_a_prepared_page_is_what_rendering_it_would_give(*, is_gzip: bool) -> None:
    page = PreparedPage(f"<style>{'x' * 20_000}</style><form action='{ROOM}'>{ROOM}</form>")
    for number, typed in enumerate(("Вера", "", "ё" * 32_740, "ё" * 100_000)):
        body = page.fill(f"/ru/{number}", typed, is_gzip=is_gzip)
        text = (gzip.decompress(body) if is_gzip else body).decode()
        assert text == f"<style>{'x' * 20_000}</style><form action='/ru/{number}'>{typed}</form>"
        assert not is_gzip or len(body) < 500 + len(typed.encode())


@asynccontextmanager
async def impatient_installation(database_url: str, folder: Path) -> AsyncIterator[Installation]:
    """Give one whose forms are refused as soon as there is no room; the database has its time all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(form_line, "LONG_PART", 0.0)
        patch.setattr(form_line, "SHORT_PART", 0.0)
        async with installation(database_url, folder) as site:
            yield site


def fields_of(page: httpx2.Response) -> dict[str, str]:
    """Return the fields of the form of a page."""
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    areas = re.findall(r'<textarea name="([^"]*)"[^>]*>\n(.*?)</textarea>', page.text, re.DOTALL)
    return {unescape(name): unescape(value) for name, value in inputs + areas}


def _no_room(patch: pytest.MonkeyPatch) -> None:
    """No batch has room: a form waits in the line until it is refused."""
    patch.setattr(Batcher, "has_room", False)


def _no_place(patch: pytest.MonkeyPatch) -> None:
    """The line has no place left: a form is refused before it is read."""
    patch.setattr(FormLine, "_capacity", lambda _self: 0)


FULL = pytest.mark.parametrize("full", [_no_room, _no_place])


@FULL
@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("coding", ["gzip, br", "identity"])
async def test_a_form_without_room_comes_back_with_everything_typed_and_is_stored_once(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lang: str,
    coding: str,
    full: Callable[[pytest.MonkeyPatch], None],
) -> None:
    async with impatient_installation(database_url, tmp_path) as site:
        form = await site.form(name='Zoë "<Ž>" & Co', city="Нови Сад", statement="Строка\nи <b>другая</b>")
        with monkeypatch.context() as patch:
            full(patch)
            page = await site.client.post(f"/{lang}/{SLUG}/sign", data=form, headers={"accept-encoding": coding})
        check_page(page, 503, lang)
        assert int(page.headers["retry-after"]) > 0
        assert page.headers.get("content-encoding") == (None if coding == "identity" else "gzip")
        assert f'action="/{lang}/{SLUG}/sign"' in page.text
        assert fields_of(page) == form
        for _ in range(2):  # the second is the impatient one
            again = await site.client.post(f"/{lang}/{SLUG}/sign", data=fields_of(page))
            assert again.status_code == 303
        assert await rows.rows_of(site.database, "SELECT count(*) AS n FROM pending") == [{"n": 1}]


@FULL
async def test_the_button_to_confirm_without_room_comes_back_with_a_button(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: Callable[[pytest.MonkeyPatch], None]
) -> None:
    async with impatient_installation(database_url, tmp_path) as site:
        path = await _path_to_confirm(site)
        with monkeypatch.context() as patch:
            full(patch)
            page = await site.client.post(path)
        check_page(page, 503)
        assert int(page.headers["retry-after"]) > 0
        assert f'<form class="form" method="post" action="{path}">' in page.text
        assert (await site.client.post(path)).status_code == 303
        assert (await site.count())["people"] == 1


async def _path_to_confirm(site: Installation) -> str:
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
        (signature_id,) = await rows.add_pending(conn, letter, ["petra@letters.example"])
    return f"/en/confirm/{rows.token(letter, signature_id)}"
