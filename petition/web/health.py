"""Pages for programs: liveness, readiness, metrics, robots.txt, security.txt."""

import asyncio
import contextlib
import hmac
import time
from datetime import UTC, datetime, timedelta
from functools import cache

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from petition.core import database, open_files, stored_keys
from petition.core import metrics as figures
from petition.core.client_networks import is_trusted
from petition.core.database import Connection
from petition.core.database_failures import DISK_FULL, SILENT
from petition.core.encryption import Wrapper
from petition.core.errors import SettingsError, Unavailable
from petition.core.version import version
from petition.incoming_mail import mail_figures
from petition.web import http, shutdown
from petition.web.services import Services

READY_TIMEOUT = 1.0  # seconds for the database
READY_LIMIT = 1.5  # seconds for everything; load balancers wait for two
ROOM_AGE = 10.0  # seconds for which there is room on the disk
NO_STORE = {"cache-control": "no-store"}


async def alive(request: Request) -> Response:
    """Answer 200 as long as this process serves; 503 if it is about to stop and a proxy should turn to another one."""
    if is_trusted(request.client.host if request.client else "", http.services_of(request).settings.trusted_proxies):
        shutdown.notice.note_probe()
    if shutdown.notice.is_stopping:
        return PlainTextResponse("stopping\n", 503, NO_STORE)
    return PlainTextResponse("alive\n", headers=NO_STORE)


async def ready(request: Request) -> Response:
    """Answer 200 if people can sign: database and keeper answer, it is migrated, writable and ours; else 503 and why.

    The second line says which version answers.
    """
    services = http.services_of(request)
    async with services.throttle.probe_slot(http.network_of(request)):
        trouble = await _check_in_time(services)
    if shutdown.notice.is_stopping:
        trouble = "stopping"
    if trouble:
        return PlainTextResponse(f"{trouble}\n{_what_runs()}\n", 503, NO_STORE | {"retry-after": "5"})
    # A replica that is away is no reason to stop signing here: the primary is read instead.
    lines = ["ready", _what_runs(), *(f"replica {line}" for line in services.reading.troubles())]
    return PlainTextResponse("".join(f"{line}\n" for line in lines), headers=NO_STORE)


@cache
def _what_runs() -> str:
    return f"version {version()}, schema {database.schema_number()}"


async def _check_in_time(services: Services) -> str | None:
    try:
        async with asyncio.timeout(READY_LIMIT):
            return await _check(services)
    except TimeoutError:  # a paused pooler leaves the connection's own end waiting, too
        return f"no database: {SILENT}"


async def _check(services: Services) -> str | None:
    pool = services.database
    if not open_files.are_left():
        return open_files.NONE_LEFT
    if not pool.is_answering:  # the poll asks again and again
        return f"no database: {pool.silence}"
    try:
        return await _ask(services) or await services.keeper.trouble()
    except Unavailable as error:
        return open_files.NONE_LEFT if str(error) == open_files.NONE_LEFT else f"no database: {error}"


async def _ask(services: Services) -> str | None:
    """Return what the database says is wrong; ask again if a connection was cut meanwhile. Raises ``Unavailable``."""
    until = time.monotonic() + READY_TIMEOUT
    with contextlib.suppress(Unavailable):
        return await _ask_once(services, READY_TIMEOUT)
    return await _ask_once(services, max(until - time.monotonic(), 0.0))


async def _ask_once(services: Services, seconds: float) -> str | None:
    pool = services.database
    async with pool.probe(seconds) as conn:
        await services.keeper.is_adopted(conn)
        return await _trouble(conn, services.wrapper) or pool.recent_refusal or await _room(services, conn)


async def _room(services: Services, conn: Connection) -> str | None:
    """Return what is wrong with the disk, if nothing has been written yet that would have said so."""
    if time.monotonic() - services.room.seen_at < ROOM_AGE:
        return None
    if await database.is_disk_full(conn):
        return DISK_FULL
    services.room.seen_at = time.monotonic()
    return None


async def _trouble(conn: Connection, wrapper: Wrapper) -> str | None:
    if not await database.is_migrated(conn):
        return "not migrated"
    if await database.is_read_only(conn):
        return "the database is read-only"
    if await database.is_locked(conn):
        return "another transaction holds a lock on a table that signing needs"
    try:
        await stored_keys.check_secret(conn, wrapper)
    except SettingsError as error:
        return str(error)
    return None


async def metrics(request: Request) -> Response:
    """Answer with Prometheus metrics. Raises a 404 if no token is set, a 401 for another token."""
    token = http.services_of(request).settings.metrics_token
    if token is None:
        raise HTTPException(404)
    authorization = request.headers.get("authorization", "")
    if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
        raise HTTPException(401, headers={"www-authenticate": "Bearer"})
    with contextlib.suppress(Unavailable, TimeoutError):  # the rest is worth having without these
        async with asyncio.timeout(READY_TIMEOUT), http.services_of(request).database.connection() as conn:
            await mail_figures.read(conn)
    http.services_of(request).letters.note_figures()
    return Response(figures.render(), media_type=CONTENT_TYPE_LATEST, headers=NO_STORE)


async def robots(request: Request) -> Response:
    """Exclude pages that belong to one person, and name the site map."""
    lines = ["User-agent: *"]
    for lang in http.services_of(request).renderer.languages:
        lines += [f"Disallow: /{lang}/{path}/" for path in ("confirm", "signature", "never", "preview")]
    lines += ["Disallow: /organizer/", "Disallow: /captcha/"]
    lines += ["", f"Sitemap: {http.services_of(request).settings.base_url}/sitemap.xml"]
    return PlainTextResponse("\n".join(lines) + "\n", headers={"cache-control": "public, max-age=3600"})


async def security(request: Request) -> Response:
    """Answer with security.txt (RFC 9116). Raises a 404 if ``CONTROLLER`` has no e-mail address."""
    settings, languages = http.services_of(request).settings, tuple(http.services_of(request).renderer.languages)
    if settings.contact is None:
        raise HTTPException(404)
    expires = (datetime.now(UTC) + timedelta(days=180)).replace(hour=0, minute=0, second=0, microsecond=0)
    # RFC 9116 wants https in links. Where an Onion service or this machine has none, a link that works is worth more.
    fields = [("Contact", f"mailto:{settings.contact}"), ("Expires", f"{expires:%Y-%m-%dT%H:%M:%SZ}")]
    fields += [("Preferred-Languages", ", ".join(languages))]
    origins = filter(None, (settings.base_url, settings.onion_url))
    fields += [("Canonical", f"{origin}/.well-known/security.txt") for origin in origins]
    fields += [("Policy", f"{settings.base_url}/{lang}/security") for lang in languages]
    text = "".join(f"{name}: {value}\n" for name, value in fields)
    return PlainTextResponse(text, headers={"cache-control": "public, max-age=86400"})
