"""The web application: its routes as data, its lifespan, and how its services are wired."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from petition.captcha import Captchas
from petition.core import i18n, metrics
from petition.core.database import Database, opened, schema_number
from petition.core.encryption import Sealer, Wrapper
from petition.core.errors import Crowded, Paused, SettingsError
from petition.core.keeper import KeeperClient
from petition.core.quotas import DayKeys
from petition.core.reading import Reading, opened_reading
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.core.version import version
from petition.letters.published import PublishedLetters
from petition.letters.switches import InstallationNotices
from petition.mirrors.making import MirrorMaker
from petition.mirrors.model import addresses_of
from petition.moderation.domain_proofs import DomainProofs
from petition.organizers.desk_key import DeskKey
from petition.organizers.passkeys import Passkeys
from petition.packages.making import PackageMaker
from petition.signatures import forms
from petition.signatures.confirming import Confirming
from petition.signatures.signing import Signing
from petition.web import error_pages, health, loop_lag, send_again, shutdown
from petition.web.api import docs, how_we_count
from petition.web.api import endpoints as api
from petition.web.cache_purging import CachePurger
from petition.web.count_stream import CountStreams
from petition.web.desk import routes as desk
from petition.web.embeds import builder, frame, oembed
from petition.web.embeds import endpoints as embeds
from petition.web.form_line import FormLine
from petition.web.gateway import SAFE, App, Gateway
from petition.web.page_cache import ALL, PageCache, list_group
from petition.web.public import routes as public
from petition.web.services import Services
from petition.web.share_card_cache import CardCache
from petition.web.sharing import endpoints as sharing
from petition.web.shortcuts import shortcuts
from petition.web.static_files import Static
from petition.web.stored_copies import StoredCopies
from petition.web.throttle import Throttle

YOUNG_OBJECTS = 7_000  # between two looks for garbage in cycles: a batch of forms alone has thousands of objects
ROUTES: list[BaseRoute] = [
    *desk.routes(),
    *public.BUSIEST,
    Route("/healthz", health.alive),
    Route("/readyz", health.ready),
    Route("/metrics", health.metrics),
    Route("/robots.txt", health.robots),
    Route("/.well-known/security.txt", health.security),
    Mount("/static", Static()),
    *api.ROUTES,
    *how_we_count.ROUTES,
    *embeds.ROUTES,
    *frame.ROUTES,
    *oembed.ROUTES,
    *builder.ROUTES,
    *docs.ROUTES,
    *sharing.ROUTES,
    *public.ROUTES,
]


def create_app(settings: Settings) -> Gateway:
    """Build the whole application. Raises ``SettingsError`` if a catalogue cannot be read."""
    metrics.say_what_runs(version(), schema_number())
    renderer = Renderer(i18n.load(settings.locales_dir), settings.base_url, settings.controller)
    pages, notices = PageCache(settings.database_patience), InstallationNotices()
    streams = CountStreams(settings)
    purger = CachePurger(settings.shared_caches)
    pages.key_headers = purger.key_headers

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        if settings.database_url is None:
            raise SettingsError("the application needs a database; `petition serve` starts one")
        url = settings.database_url
        async with (
            opened(url, patience=settings.database_patience) as database,
            opened_reading(database, url, settings.database_read_url, settings.read_max_age) as reading,
        ):
            services = build_services(settings, database, renderer, pages, notices, streams, reading=reading)
            forms.prepare(tuple(renderer.languages))
            send_again.prepare(renderer)
            gc.freeze()  # scanning the long-lived objects again and again took 5 % of a busy server
            gc.set_threshold(YOUNG_OBJECTS, 1, 10)
            purger.attach(services.letters)  # after the page cache: our own copies go first
            loops = [services.letters.watch(), reading.watch(), purger.run(), loop_lag.measure()]
            loops += [streams.send_heartbeats(), pages.expire_dated(), pages.shrink_lasting()]
            if services.stored is not None:
                state: dict[str, object] = {"services": services}
                loops.append(services.stored.follow(framework, state, pages.common, pages.is_up))
            tasks = [asyncio.create_task(loop) for loop in loops]
            try:
                with shutdown.on_signal(streams.stop):
                    yield {"services": services}
            finally:
                for task in tasks:
                    task.cancel()
                await services.signing.drain()
                await services.confirming.drain()
                await services.keeper.close()

    framework = Starlette(routes=ROUTES, lifespan=lifespan, exception_handlers=error_pages.HANDLERS)
    framework.router.redirect_slashes = False
    app = _with_refusals(shortcuts(framework, public.SHORTCUTS), notices)
    return Gateway(app, settings, pages, streams, renderer.sheet.hash, notices, ROUTES)


def build_services(
    settings: Settings,
    database: Database,
    renderer: Renderer,
    pages: PageCache,
    notices: InstallationNotices,
    streams: CountStreams,
    *,
    reading: Reading | None = None,
) -> Services:
    """Build the services, and have the caches and streams follow the published letters."""
    reading = reading or Reading(database)
    wrapper, sealer = Wrapper(settings.secret_keys), Sealer(settings.contact_public_key)
    keeper = KeeperClient(settings.keeper, database)
    letters, cards = PublishedLetters(database, wrapper, notices), CardCache()
    if reading.replicas:  # first: a page that is rendered again must not be an older one
        letters.on_change(reading.changes.add)
        letters.on_change(lambda _slug: reading.changes.add(ALL))
        letters.on_taken_down(reading.hidden_names.add)
        letters.on_names_hidden(reading.hidden_names.add)
    letters.on_change(pages.invalidate)
    letters.on_change(lambda slug: pages.invalidate(list_group(slug)))
    letters.on_change(lambda _slug: pages.invalidate(ALL))
    for purge in (pages.purge, lambda slug: pages.purge(list_group(slug))):
        letters.on_taken_down(purge)
        letters.on_names_hidden(purge)  # stale copies too, which are served while the database is down
    letters.on_taken_down(cards.purge)
    stored = StoredCopies(settings, settings.database_url or "")
    letters.on_taken_down(stored.purge)
    letters.on_names_hidden(stored.purge)
    letters.on_taken_down(lambda _slug: pages.purge(ALL))  # it was on pages with several letters
    letters.on_taken_down(lambda _slug: stored.purge(ALL))
    pages.is_up = lambda: letters.is_database_up
    streams.attach(letters)
    signing, confirming = Signing(database, settings.limits, sealer), Confirming(database, settings.limits)
    return Services(
        settings=settings,
        database=database,
        reading=reading,
        renderer=renderer,
        tokens=Tokens(settings.secret_keys),
        sealer=sealer,
        wrapper=wrapper,
        notices=notices,
        letters=letters,
        pages=pages,
        cards=cards,
        stored=stored,
        count_streams=streams,
        captchas=Captchas(settings),
        day_keys=DayKeys(database, wrapper),
        desk_key=DeskKey(wrapper, keeper),
        keeper=keeper,
        passkeys=Passkeys(settings.base_url),
        packages=PackageMaker(database, wrapper, renderer.languages, settings.base_url),
        domain_proofs=DomainProofs(settings.mx_resolver),
        copies=MirrorMaker(database, wrapper, renderer, addresses_of(settings)),
        signing=signing,
        confirming=confirming,
        sign_line=FormLine(signing.has_room, settings.database_patience, name="sign_line"),
        confirm_line=FormLine(confirming.has_room, settings.database_patience, name="confirm_line"),
        throttle=Throttle(settings.limits),
    )


def _with_refusals(framework: App, notices: InstallationNotices) -> App:
    """Answer requests that the gateway refused with an error page; pass on all others."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if "\0" in scope.get("path", ""):  # no address has it, and PostgreSQL accepts no such text
            scope.setdefault("refused", 404)
        if "refused" not in scope:
            await framework(scope, receive, send)
            return
        request = Request(scope, receive)
        if scope["refused"] == HTTPStatus.SERVICE_UNAVAILABLE:
            is_crowded = request.method in SAFE  # such a request is refused with a 503 for no other reason
            error = Crowded() if is_crowded else Paused(notices.read_only or {})
            response: Response = await error_pages.domain(request, error)
        else:
            response = await error_pages.http_error(request, HTTPException(scope["refused"]))
        await response(scope, receive, send)

    return app
