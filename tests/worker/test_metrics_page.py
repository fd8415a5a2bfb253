"""The worker's own metrics: behind the token, on loopback, with the queue, the relays, its jobs and chores."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from petition.core.database import Connection
from petition.core.errors import SettingsError
from petition.core.settings import Process, load
from petition.incoming_mail import mail_figures
from petition.worker import main, metrics_page
from tests.mail.conftest import installation, logged, post
from tests.mail.installation import Installation, environ
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until
from tests.mail.working import NEMO, working
from tests.running import free_port

__all__ = ["installation", "logged", "post"]
BEARER = {"authorization": "Bearer t0ken"}


async def test_the_worker_says_how_it_is_doing(installation: Installation, conn: Connection, post: PostOffice) -> None:
    its = replace(installation.settings, metrics_token="t0ken", worker_metrics_port=free_port())
    await installation.sign_up(await installation.letter(), NEMO)
    await conn.execute("INSERT INTO incoming_mail_count (day, kind, number) VALUES (current_date, 'hard', 3)")
    await conn.execute(
        "INSERT INTO outbox (purpose, digest, sealed, lang, priority, created_at, due_at)"
        " VALUES ('waiting', '', '', 'en', 1, now() - interval '1 hour', now() + interval '1 day')"
    )
    here = f"http://127.0.0.1:{its.worker_metrics_port}/metrics"
    async with working(its), httpx2.AsyncClient(timeout=120) as client:

        async def has_run() -> bool:
            try:
                text = (await client.get(here, headers=BEARER)).text
            except httpx2.ConnectError:
                return False
            return 'petition_worker_chores_total{result="done",task="mail_what_waits"}' in text and bool(post.mails)

        await until(has_run)
        answer = await client.get(here, headers=BEARER)
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["cache-control"] == "no-store"
        text = answer.text
        head = await client.head(here, headers=BEARER)
        assert (head.status_code, head.text) == (200, "")
    assert 'petition_mail_waiting{kind="bulk"} 1.0' in text
    (age,) = re.findall(r"^petition_mail_oldest_seconds ([0-9.]+)", text, re.MULTILINE)
    assert float(age) >= 3600
    assert f'petition_relay_up{{relay="127.0.0.1:{post.port}"}} 1.0' in text
    assert 'petition_bounces{kind="hard"} 3.0' in text
    assert 'petition_worker_jobs_open{kind="import"} 0.0' in text
    assert re.search(r'petition_worker_steps_total\{result="idle",task="import"\} [1-9]', text)
    assert re.search(r'petition_worker_last_step_timestamp_seconds\{task="import"\} 1\.\d+e\+09', text)
    assert "petition_database_up 1.0" in text
    assert "petition_build_info{" in text
    assert NEMO not in text


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /metrics HTTP/1.1\r\n\r\n", 401),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer t0ke\r\n\r\n", 401),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Basic t0ken\r\n\r\n", 401),
        (b"POST /metrics HTTP/1.1\r\nAuthorization: Bearer t0ken\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nAuthorization: Bearer t0ken\r\n\r\n", 404),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\xff\xff\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 3 * metrics_page.MAX_HEAD + b"\r\n\r\n", None),
        (b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer t0ken\r\n", None),
    ],
)
async def test_all_else_is_refused(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, request_head: bytes, status: int | None
) -> None:
    """Without an answer where no request was sent; a worker has no other page."""
    monkeypatch.setattr(metrics_page, "PATIENCE", 0.2)
    its = replace(installation.settings, metrics_token="t0ken", worker_metrics_port=free_port())
    async with working(its):

        async def answers() -> bool:
            try:
                reader, writer = await asyncio.open_connection(metrics_page.HOST, its.worker_metrics_port)
            except OSError:
                return False
            writer.write(request_head)
            try:
                said = await reader.read()
            except ConnectionError:
                said = b""
            writer.close()
            assert said[:12] == (b"" if status is None else b"HTTP/1.1 %d" % status)
            return True

        await until(answers)


async def test_connections_have_a_limit(installation: Installation) -> None:
    its = replace(installation.settings, metrics_token="t0ken", worker_metrics_port=free_port())
    async with working(its):

        async def connected() -> bool:
            try:
                idle.append(await asyncio.open_connection(metrics_page.HOST, its.worker_metrics_port))
            except OSError:
                return False
            return len(idle) == metrics_page.MAX_CONNECTIONS

        idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        await until(connected)
        reader, writer = await asyncio.open_connection(metrics_page.HOST, its.worker_metrics_port)
        assert await reader.read() == b""
        for _, one in [(reader, writer), *idle]:
            one.close()


async def test_a_taken_port_stops_the_worker_with_one_line(installation: Installation) -> None:
    its = replace(installation.settings, metrics_token="t0ken", worker_metrics_port=free_port())
    async with await asyncio.start_server(lambda *_: None, metrics_page.HOST, its.worker_metrics_port):
        with pytest.raises(SettingsError, match=r"WORKER_METRICS_PORT: \d+ is taken"):
            await main.run(its, asyncio.Event())


async def test_without_a_database_it_says_so(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    its = replace(installation.settings, metrics_token="t0ken", worker_metrics_port=free_port())
    here = f"http://127.0.0.1:{its.worker_metrics_port}/metrics"

    async def away(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(mail_figures, "read", away)
    async with working(its), httpx2.AsyncClient(timeout=120) as client:

        async def is_known() -> bool:
            try:
                return "petition_database_up 0.0" in (await client.get(here, headers=BEARER)).text
            except httpx2.ConnectError:
                return False

        await until(is_known)
    assert "t0ken" not in logged()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"WORKER_METRICS_PORT": "9100"}, "needs METRICS_TOKEN"),
        ({"WORKER_METRICS_PORT": "8000", "METRICS_TOKEN": "t"}, "must not be PORT"),
        ({"WORKER_METRICS_PORT": "0", "METRICS_TOKEN": "t"}, "must be between"),
        ({"WORKER_METRICS_PORT": "http", "METRICS_TOKEN": "t"}, "must be a whole number"),
    ],
)
def test_settings(tmp_path: Path, more: dict[str, str], said: str) -> None:
    known = environ(tmp_path, "postgresql://nowhere") | {"METRICS_TOKEN": "t", "WORKER_METRICS_PORT": "9100"}
    assert load(known, role=Process.WORKER).worker_metrics_port == 9100
    with pytest.raises(SettingsError, match=said):
        load(environ(tmp_path, "postgresql://nowhere") | more, role=Process.WORKER)
