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

from petition.web import error_pages
from petition.web.gateway import DESK, App, Receive, Scope, Send


def shortcuts(framework: Starlette, routes: Sequence[Route]) -> App:
    """Return the application that asks ``routes`` first; all their methods are POST, and none is the desk's."""
    hot = [(route.path_regex, route) for route in routes]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and not scope["path"].startswith(DESK):
            for pattern, route in hot:
                if match := pattern.match(scope["path"]):
                    scope.update(app=framework, route=route, path_params=match.groupdict())
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
