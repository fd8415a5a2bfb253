"""The endpoints that crowds come to at once, without the framework's layers: those take as long as a third of signing.

What an endpoint raises is answered as everywhere (``error_pages.HANDLERS``), and every other request goes to the
framework.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from petition.core.errors import Crowded
from petition.web import error_pages
from petition.web.gateway import DESK, App, Receive, Scope, Send
from petition.web.paced import Paced
from petition.web.services import LineOf

REFUSALS = 16  # in one iteration of the event loop: each takes 0.4 ms


def shortcuts(framework: Starlette, routes: Sequence[tuple[Route, LineOf]]) -> App:
    """Return the application that asks ``routes`` first, each with the line in which its forms wait.

    All their methods are POST, and none is the desk's.
    """
    refusals = Paced(REFUSALS)
    hot = [(route.path_regex, route, line) for route, line in routes]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and not scope["path"].startswith(DESK):
            for pattern, route, line in hot:
                if match := pattern.match(scope["path"]):
                    scope.update(app=framework, route=route, path_params=match.groupdict())
                    if line(scope["state"]["services"]).refuses(scope["network"]):
                        await refusals.wait()
                        response = await error_pages.domain(Request(scope, receive), Crowded())
                        await response(scope, receive, send)
                    else:
                        await _answer(route.endpoint, scope, receive, send)
                    return
        await framework(scope, receive, send)

    return app


async def _answer(
    endpoint: Callable[[Request], Awaitable[Response]], scope: Scope, receive: Receive, send: Send
) -> None:
    request = Request(scope, receive, send)
    try:
        response = await endpoint(request)
    except Exception as error:
        handler: Any = next(error_pages.HANDLERS[kind] for kind in type(error).__mro__ if kind in error_pages.HANDLERS)
        response = await handler(request, error)
        if handler is error_pages.unexpected:
            await response(scope, receive, send)
            raise  # to the server's log, as the framework does
    await response(scope, receive, send)
