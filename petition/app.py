"""The web application: its routes as data, its lifespan, and the one map from errors to answers."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from petition import desk_routes, failures, health, i18n, stopping
from petition.api import docs_views
from petition.api import views as api
from petition.captcha import Captchas
from petition.database import opened
from petition.embeds import builder_views, frame_views, oembed_views
from petition.embeds import views as embeds
from petition.errors import Paused, SettingsError, Unavailable
from petition.front import SAFE, App, Front
from petition.kept import Pages
from petition.letters import views as letters
from petition.letters.board import Board
from petition.letters.views import ALL
from petition.limits import Days
from petition.live import Streams
from petition.moderation import report_views, second_views
from petition.organizers.keys import DeskKey
from petition.organizers.passkeys import Passkeys
from petition.rendering import Renderer
from petition.sealing import Sealer, Wrapper
from petition.settings import Settings
from petition.sharing import views as sharing
from petition.sharing.cards import Cards
from petition.signatures import confirm_views, forms, list_views, own_views, views
from petition.signatures.confirming import Confirming
from petition.signatures.signing import Signing
from petition.state import Posted, Site
from petition.static_files import Static
from petition.throttle import Throttle
from petition.tokens import Tokens
from petition.writing import preview_views

log = logging.getLogger(__name__)

ROUTES: list[BaseRoute] = [
    *desk_routes.routes(),
    # Each route ahead costs 2 µs, so those that very many come to at once are asked first.
    Route("/{lang}/confirm/{token}", confirm_views.confirm, methods=["POST"]),
    Route("/{lang}/{slug}/sign", views.sign, methods=["POST"]),
    Route("/", letters.home),
    Route("/healthz", health.alive),
    Route("/readyz", health.ready),
    Route("/metrics", health.metrics),
    Route("/robots.txt", health.robots),
    Route("/.well-known/security.txt", health.security),
    Route("/captcha/challenge", views.challenge),
    Mount("/static", Static()),
    *api.ROUTES,
    *embeds.ROUTES,
    *frame_views.ROUTES,
    *oembed_views.ROUTES,
    *builder_views.ROUTES,
    *docs_views.ROUTES,
    *sharing.ROUTES,
    Route("/{lang}", letters.to_index),
    Route("/{lang}/", letters.index),
    Route("/{lang}/privacy", letters.privacy),
    Route("/{lang}/confirm/{token}", confirm_views.show),
    Route("/{lang}/signature/{token}", own_views.show),
    Route("/{lang}/signature/{token}", own_views.act, methods=["POST"]),
    Route("/{lang}/signature/{token}/data.json", own_views.data),
    Route("/{lang}/second/{token}", second_views.show),
    Route("/{lang}/second/{token}", second_views.confirm, methods=["POST"]),
    Route("/{lang}/never/{token}", confirm_views.never),
    Route("/{lang}/never/{token}", confirm_views.never_again, methods=["POST"]),
    Route("/{lang}/preview/{token}", preview_views.outside),
    Route("/{lang}/{slug}", letters.show),
    Route("/{lang}/{slug}/text", letters.text),
    Route("/{lang}/{slug}/versions", letters.versions),
    Route("/{lang}/{slug}/updates", letters.updates),
    Route("/{lang}/{slug}/picture/{picture}", preview_views.picture),
    Route("/{lang}/{slug}/sign", views.to_letter),
    Route("/{lang}/{slug}/check-your-inbox", views.check_your_inbox),
    Route("/{lang}/{slug}/confirm", views.to_letter),
    Route("/{lang}/{slug}/confirm", confirm_views.confirm_by_code, methods=["POST"]),
    Route("/{lang}/{slug}/signed", views.signed),
    Route("/{lang}/{slug}/find", views.find),
    Route("/{lang}/{slug}/find", views.send_link, methods=["POST"]),
    Route("/{lang}/{slug}/signatories", list_views.signatories),
    Route("/{lang}/{slug}/report/{kind}/{entry}", report_views.show),
    Route("/{lang}/{slug}/report/{kind}/{entry}", report_views.send, methods=["POST"]),
]


def create_app(settings: Settings) -> Front:
    """Return the whole application. Raises ``SettingsError`` if a catalogue cannot be read."""
    languages = i18n.load(settings.locales_dir)
    renderer = Renderer(languages, settings.base_url, settings.controller)
    pages, posted, streams, cards = Pages(), Posted(), Streams(settings), Cards()

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        if settings.database_url is None:
            raise SettingsError("the application needs a database; `petition serve` starts one")
        async with opened(settings.database_url) as database:
            wrapper = Wrapper(settings.secret_keys)
            tokens, sealer = Tokens(settings.secret_keys), Sealer(settings.contact_public_key)
            site = Site(settings, database, renderer, tokens, sealer, wrapper, posted)
            board = Board(database, wrapper, posted)
            board.on_change(pages.moved)
            board.on_change(lambda _slug: pages.moved(ALL))
            board.on_gone(pages.forget)
            board.on_hidden(pages.forget)  # also those kept for when the database is away
            board.on_gone(cards.forget)
            streams.attach(board)
            signing, confirming = Signing(database, settings.limits, sealer), Confirming(database)
            throttle = Throttle(settings.limits)
            days, keys, passkeys = Days(database, wrapper), DeskKey(wrapper), Passkeys(settings.base_url)
            services = (board, pages, Captchas(settings), days, keys, passkeys, signing, confirming, streams, throttle)
            for service in (*services, cards):
                site.add(service)
            forms.prepare()
            gc.freeze()  # what is there now stays; to look it through again and again took 5 % of a busy server
            tasks = [asyncio.create_task(each) for each in (board.watch(), streams.beat(), pages.age())]
            try:
                with stopping.calling(streams.stop):
                    yield {"site": site}
            finally:
                for task in tasks:
                    task.cancel()
                await signing.drain()
                await confirming.drain()

    framework = Starlette(routes=ROUTES, lifespan=lifespan, exception_handlers=failures.HANDLERS)
    framework.router.redirect_slashes = False
    return Front(_refusing(framework, posted), settings, pages, streams, renderer.css_hash, posted)


def _refusing(framework: Starlette, posted: Posted) -> App:
    """Answer what the door refused with a page of ours; hand on everything else."""

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        if "\0" in scope.get("path", ""):  # nothing has such an address, and PostgreSQL takes no such text
            scope.setdefault("refused", 404)
        if "refused" not in scope:
            await framework(scope, receive, send)
            return
        request = Request(scope, receive)
        if scope["refused"] == HTTPStatus.SERVICE_UNAVAILABLE:
            crowded = request.method in SAFE  # what is only read is refused for no other reason
            why = Unavailable("too many ask at this moment") if crowded else Paused(posted.read_only or {})
            response: Response = await failures.domain(request, why)
        else:
            response = await failures.http(request, HTTPException(scope["refused"]))
        await response(scope, receive, send)

    return refusing
