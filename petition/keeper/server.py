"""The keeper's HTTP: one address that answers digests, its page, and the same as JSON. It writes no log of requests."""

import asyncio
import base64
import contextlib
import hmac
import logging
import math
import signal
import ssl
from collections.abc import Awaitable, Callable
from html import escape
from http import HTTPStatus
from typing import Any

from aiohttp import web

from petition.core.errors import SettingsError
from petition.core.keeper_settings import KeeperListener
from petition.keeper.counts import LIMITED, PURPOSE, REFUSED, KeeperCounts
from petition.keeper.digests import RateLimit, SecondKey
from petition.keeper.settings import KeeperSettings
from petition.keeper.strangers import SECONDS, Strangers

MAX_BODY = 256 * 1024
MAX_VALUES = 1000
MAX_VALUE = 64  # bytes
MAX_PURPOSES = 20
BULK = {"adopt", "import"}
STORE_INTERVAL = 5.0  # seconds
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

log = logging.getLogger(__name__)


class KeeperServer:
    """The views. All but ``health`` need the token: as a bearer's, or as the password that a browser asks for."""

    def __init__(self, settings: KeeperSettings) -> None:
        self._token = settings.token.encode()
        self._key = SecondKey(settings.key)
        self._limit = RateLimit(settings.limit)
        self._settings = settings
        self.strangers = Strangers()
        self.counts = KeeperCounts(settings.counts_file)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._guard])
        app.router.add_post("/v1/digests", self.digests)
        app.router.add_get("/v1/counts", self.counts_json)
        app.router.add_get("/", self.page)
        app.router.add_get("/health", self.health)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path != "/health" and not self._is_allowed(request.headers.get("authorization", "")):
            self.counts.add(REFUSED, 0)
            headers = {"www-authenticate": 'Basic realm="keeper"'}
            return _text(HTTPStatus.UNAUTHORIZED, "the token is wrong", headers)
        if request.path != "/health":
            self.strangers.admit(request.transport)
        return await handler(request)

    def _is_allowed(self, authorization: str) -> bool:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            with contextlib.suppress(ValueError):
                value = base64.b64decode(value, validate=True).partition(b":")[2].decode("utf-8", "replace")
        elif scheme.lower() != "bearer":
            value = ""
        return hmac.compare_digest(value.strip().encode("utf-8", "surrogateescape"), self._token)

    async def digests(self, request: web.Request) -> web.Response:
        values = _values_in(await _json(request))
        if values is None:
            return _text(HTTPStatus.BAD_REQUEST, "the request is not understood")
        total = sum(map(len, values.values()))
        if wait := self._limit.take(total, is_bulk=values.keys() <= BULK):
            self.counts.add(LIMITED, total)
            return _text(HTTPStatus.TOO_MANY_REQUESTS, "too many", {"retry-after": str(math.ceil(wait))})
        self.counts.add_all({purpose: len(some) for purpose, some in values.items()})
        digests = {purpose: [one.hex() for one in self._key.digests(some)] for purpose, some in values.items()}
        return web.json_response({"fingerprint": self._key.fingerprint.hex(), "digests": digests}, headers=HEADERS)

    async def counts_json(self, _request: web.Request) -> web.Response:
        content = {
            "fingerprint": self._key.fingerprint.hex(),
            "limit": self._settings.limit,
            "hours": self.counts.rows(),
        }
        return web.json_response(content, headers=HEADERS)

    async def page(self, _request: web.Request) -> web.Response:
        rows = "".join(
            f"<tr><td>{escape(row['hour'])}<td>{escape(row['purpose'])}<td>{row['requests']:,}<td>{row['values']:,}"
            for row in self.counts.rows()
        )
        text = PAGE.format(fingerprint=self._key.fingerprint.hex(), limit=f"{self._settings.limit:,}", rows=rows)
        headers = {**HEADERS, "content-security-policy": POLICY}
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)

    async def health(self, _request: web.Request) -> web.Response:
        return _text(HTTPStatus.OK, "ok")


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Keeper</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>body{{font:1rem/1.5 system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}td,th{{padding:.3rem .6rem;border-bottom:1px solid #8886;text-align:left}}
td:nth-child(n+3),th:nth-child(n+3){{text-align:right}}</style>
<h1>Keeper</h1>
<p>Fingerprint of the key: <code>{fingerprint}</code>. At most {limit} values a minute.</p>
<table><caption>Requests by hour (UTC) and purpose, 30 days</caption>
<thead><tr><th scope="col">Hour<th scope="col">Purpose<th scope="col">Requests<th scope="col">Values</thead>
<tbody>{rows}</tbody></table>
</html>
"""


async def _json(request: web.Request) -> object:
    try:
        return await request.json()
    except (ValueError, UnicodeDecodeError):
        return None


def _values_in(body: Any) -> dict[str, list[bytes]] | None:
    """Return the values by purpose; None if it is anything else, or too much."""
    by_purpose = body.get("values") if isinstance(body, dict) else None
    if not isinstance(by_purpose, dict) or len(by_purpose) > MAX_PURPOSES:
        return None
    if not all(PURPOSE.fullmatch(purpose) and isinstance(some, list) for purpose, some in by_purpose.items()):
        return None
    texts = [text for some in by_purpose.values() for text in some]
    if len(texts) > MAX_VALUES or not all(isinstance(text, str) and len(text) <= 2 * MAX_VALUE for text in texts):
        return None
    try:
        return {purpose: [bytes.fromhex(text) for text in some] for purpose, some in by_purpose.items()}
    except ValueError:
        return None


def _text(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers={**HEADERS, **(headers or {})})


def main(settings: KeeperSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises ``SettingsError``."""
    asyncio.run(_until_signalled(settings))


async def _until_signalled(settings: KeeperSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(settings, stop)


async def run(settings: KeeperSettings, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set."""
    server = KeeperServer(settings)
    runner = web.AppRunner(server.app(), access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    listening: asyncio.Server | None = None
    try:
        assert runner.server is not None  # noqa: S101 - set up above
        listening = await _listen(server.strangers.watching(runner.server), settings.listener)
        log.info("keeper started")
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), STORE_INTERVAL)
            server.counts.store()
    finally:
        if listening is not None:
            listening.close()
        await runner.cleanup()
        server.counts.store()
    log.info("keeper stopped")


async def _listen(make_protocol: Callable[[], asyncio.Protocol], listener: KeeperListener) -> asyncio.Server:
    """Listen where the settings say. Raises ``SettingsError``."""
    loop = asyncio.get_running_loop()
    try:
        if listener.socket is not None:
            listener.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return await loop.create_unix_server(make_protocol, listener.socket)
        context = None
        if listener.certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(listener.certificate, listener.certificate_key)
        handshake = None if context is None else SECONDS
        return await loop.create_server(
            make_protocol,
            listener.host,
            listener.port,
            ssl=context,
            ssl_handshake_timeout=handshake,
            reuse_address=True,
        )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"the keeper cannot listen: {error.strerror or error}") from None
