"""Checkpoints stamped with the time by an authority of our own, verified by OpenSSL; authorities that misbehave."""

import asyncio
import gzip
import logging
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from petition.core.errors import SettingsError
from petition.core.settings import Process, load
from petition.count_log.stamping import Stamper
from tests.count_log.authority import Authority, authority
from tests.count_log.conftest import LogBench
from tests.count_log.recounting import take_all
from tests.running import SLUG, Installation, working

HOUR_LATER = "UPDATE count_log_stamp SET at = at - interval '1 hour' WHERE letter = $1"
STAMPS = "SELECT authority, size, at FROM count_log_stamp WHERE letter = $1 ORDER BY at"


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Authority]:
    async with authority(tmp_path) as running:
        yield running


async def grow(logged: LogBench) -> None:
    await logged.sign("Vera")
    await take_all(logged.database, logged.letter.id)


async def test_a_checkpoint_is_stamped_and_openssl_verifies_it(
    site: Installation, logged: LogBench, own: Authority
) -> None:
    stamper = Stamper(logged.database, [own.url])
    await stamper.step()
    assert not own.asked  # an empty log says nothing
    assert (await site.client.get(f"/log/{SLUG}/stamped.tsr")).status_code == 404
    await grow(logged)
    await stamper.step()
    await stamper.step()
    assert len(own.asked) == 1
    checkpoint, stamp = [await site.client.get(f"/log/{SLUG}/{name}") for name in ("stamped", "stamped.tsr")]
    assert checkpoint.text == (await logged.log()).checkpoint
    assert stamp.headers["content-type"] == "application/timestamp-reply"
    files = own.folder / "stamped", own.folder / "stamped.tsr"
    for file, answer in zip(files, (checkpoint, stamp), strict=True):
        file.write_bytes(answer.content)
    assert own.verifies(*files)
    files[0].write_bytes(checkpoint.content.replace(b"\n1\n", b"\n2\n"))
    assert not own.verifies(*files)
    assert (await site.client.get(f"/log/{SLUG}/stamped.tsr?authority=127.0.0.1")).content == stamp.content
    assert (await site.client.get(f"/log/{SLUG}/stamped.tsr?authority=tsa.example")).status_code == 404


async def test_a_log_is_stamped_again_when_it_has_grown_and_an_hour_is_over(logged: LogBench, own: Authority) -> None:
    stamper = Stamper(logged.database, [own.url])
    await grow(logged)
    await stamper.step()
    await grow(logged)
    await stamper.step()
    assert [row["size"] for row in await logged.rows(STAMPS)] == [1]
    await logged.change(HOUR_LATER)
    await stamper.step()
    await logged.change(HOUR_LATER)
    await stamper.step()
    assert [row["size"] for row in await logged.rows(STAMPS)] == [1, 2]


async def test_after_a_week_one_stamp_a_day_is_left(logged: LogBench) -> None:
    await grow(logged)
    await logged.change(
        "INSERT INTO count_log_stamp (letter, authority, at, size, checkpoint, response)"
        " SELECT $1, 'tsa.example', date_bin('1 day', now(), 'epoch'::timestamptz) - h * interval '1 hour', 1, '', ''"
        " FROM generate_series(1, 240) AS h"
    )
    await Stamper(logged.database, []).step()
    kept_days = [row["at"] for row in await logged.rows(STAMPS) if row["at"].hour == 23]
    assert len(kept_days) == 10
    assert len(await logged.rows(STAMPS)) < 24 * 8 + 3


async def test_what_is_no_stamp_of_ours_is_refused(
    logged: LogBench, own: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    stamper = Stamper(logged.database, [own.url])
    await grow(logged)
    await stamper.step()
    earlier = (own.folder / "reply.tsr").read_bytes()
    await logged.change("DELETE FROM count_log_stamp WHERE letter = $1")
    replies = (b"nonsense", earlier, b"x" * 100_000)
    own.replies += [web.Response(body=body) for body in replies]
    own.replies += [web.Response(status=503), web.Response(status=302, headers={"location": own.url})]
    with caplog.at_level(logging.WARNING):
        for _ in range(len(replies) + 2):
            await stamper.step()
    reasons = [record.__dict__["reason"] for record in caplog.records]
    assert reasons == ["ValueError", "an answer to another question", "too long", "status 503", "status 302"]
    assert not await logged.rows(STAMPS)
    await stamper.step()
    assert len(await logged.rows(STAMPS)) == 1


async def test_a_stamp_that_arrives_in_pieces_is_taken(logged: LogBench, own: Authority) -> None:
    own.piece = 100
    await grow(logged)
    await Stamper(logged.database, [own.url]).step()
    assert len(await logged.rows(STAMPS)) == 1


async def test_a_compressed_answer_is_not_unpacked(
    logged: LogBench, own: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    bomb = gzip.compress(b"\0" * 30_000_000)  # 30 KB
    await grow(logged)
    own.replies.append(web.Response(body=bomb, headers={"content-encoding": "gzip"}))
    tracemalloc.start()
    await Stamper(logged.database, [own.url]).step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
    assert not await logged.rows(STAMPS)


async def test_an_authority_that_is_away_does_not_keep_others_from_stamping(logged: LogBench, own: Authority) -> None:
    await grow(logged)
    away = own.url.replace("127.0.0.1", "localhost").replace("/tsr", "/nothing")
    await Stamper(logged.database, ["http://127.0.0.2:9/tsr", away, own.url]).step()
    assert [row["authority"] for row in await logged.rows(STAMPS)] == ["127.0.0.1"]


BAD_PARTS = (
    "https://tsa.example/tsr?tls=0",
    "https://tsa.example/tsr#secret",
    "https://tsa.example:x/",
    "https://tsa.example:99999/",
)


@pytest.mark.parametrize(
    "value", ["tsa.example", "ftp://tsa.example/", "https://user:secret@tsa.example/", "http://[", *BAD_PARTS]
)
def test_other_addresses_are_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="TIMESTAMP_URLS") as raised:
        load({"TIMESTAMP_URLS": value}, role=Process.WEB)
    assert "secret" not in str(raised.value)


def test_several_authorities_are_read() -> None:
    urls = load({"TIMESTAMP_URLS": "https://a.example/tsr, http://b.example"}, role=Process.WEB).timestamp_urls
    assert urls == ("https://a.example/tsr", "http://b.example")


async def test_the_worker_asks_the_authorities_in_its_settings(
    site: Installation, logged: LogBench, own: Authority
) -> None:
    await grow(logged)
    async with working(site.environ | {"TIMESTAMP_URLS": own.url}, site.inbox), asyncio.timeout(120):
        while not await logged.rows(STAMPS):
            await asyncio.sleep(0.05)
    assert len(own.asked) == 1
