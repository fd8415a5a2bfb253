"""The demo mailbox in the browser, on a loopback port of its own: ``petition serve`` never shows mail."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from petition.core.templates import STATIC, Renderer
from petition.demo.inbox import Inbox, Mail, with_links
from petition.web.headers import policy

# A mail is untrusted: no script, no form, nothing from elsewhere. Its links lead out of the frame.
_SANDBOX = "allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
_MAIL_POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox {_SANDBOX}"
)
_HEAD = re.compile(r"<head[^>]*>|<html[^>]*>|<!doctype[^>]*>", re.IGNORECASE)
_COMMON = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


class MailboxPages:
    """The pages of one inbox."""

    def __init__(self, inbox: Inbox, renderer: Renderer) -> None:
        self._inbox = inbox
        self._renderer = renderer

    def routes(self) -> list[Route]:
        return [
            Route("/", self.list_mails),
            Route("/newest", self.newest),
            Route("/mail/{number:int}", self.show),
            Route("/mail/{number:int}/html", self.html_part),
            Route("/mail/{number:int}/source", self.source),
            Route("/mailbox.css", _static("css/mailbox.css")),
            Route("/mailbox.js", _static("js/mailbox.js")),
        ]

    async def list_mails(self, request: Request) -> Response:
        return self._page(request, "mailbox/list.html", mails=list(self._inbox), newest=self._inbox.newest)

    async def newest(self, _request: Request) -> Response:
        """The number of the newest mail: the list asks for it, to show what came in."""
        return PlainTextResponse(str(self._inbox.newest), headers=_COMMON)

    async def show(self, request: Request) -> Response:
        """One mail: its text, and its HTML in a frame."""
        mail = self._mail(request)
        text = mail.body("plain")
        return self._page(
            request,
            "mailbox/mail.html",
            mail=mail,
            text=None if text is None else with_links(text),
            has_html=mail.body("html") is not None,
            sandbox=_SANDBOX,
        )

    async def html_part(self, request: Request) -> Response:
        """The HTML part alone; its own policy shuts it in, in the frame and outside of it."""
        html = self._mail(request).body("html")
        if html is None:
            raise HTTPException(404)
        return HTMLResponse(_leading_out(html), headers={**_COMMON, "content-security-policy": _MAIL_POLICY})

    async def source(self, request: Request) -> Response:
        """The mail as it came over the wire."""
        return PlainTextResponse(self._mail(request).source.decode("utf-8", "replace"), headers=_COMMON)

    async def not_found(self, request: Request, _error: Exception) -> Response:
        return self._page(request, "mailbox/gone.html", status=404)

    def _mail(self, request: Request) -> Mail:
        mail = self._inbox.get(request.path_params["number"])
        if mail is None:
            raise HTTPException(404)
        return mail

    def _page(self, request: Request, name: str, status: int = 200, **context: object) -> Response:
        lang = self._renderer.languages.best(request.headers.get("accept-language", ""))
        more = {"style-src": "'self'", "frame-src": "'self'"}
        headers = {
            **_COMMON,
            "content-language": lang,
            "vary": "Accept-Language",
            "content-security-policy": policy(self._renderer.sheet.hash, more),
        }
        return HTMLResponse(self._renderer.render(name, lang, **context), status, headers)


class OnlyFromHere:
    """Refuses every ``Host`` but this machine's own names, so that no site can point its name at the mailbox."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}".encode() for name in ("localhost", "127.0.0.1", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421 to strangers."""
        if dict(scope["headers"]).get(b"host") in self._hosts:
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("421\n", 421)(scope, receive, send)


def create_mailbox(inbox: Inbox, renderer: Renderer, port: int) -> ASGIApp:
    """Return the application that shows ``inbox`` at ``http://localhost:port/``."""
    mailbox = MailboxPages(inbox, renderer)
    app = Starlette(routes=mailbox.routes(), exception_handlers={404: mailbox.not_found})
    return OnlyFromHere(app, port)


@asynccontextmanager
async def showing(inbox: Inbox, renderer: Renderer, wanted_port: int) -> AsyncIterator[str]:
    """Show ``inbox`` on ``wanted_port`` of the loopback address, or on a free one; give the address."""
    with _listening(wanted_port) as listener:
        port = listener.getsockname()[1]
        app = create_mailbox(inbox, renderer, port)
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://localhost:{port}/"
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the demo stops this server together with the rest."""
        yield


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    listener = socket.socket()
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except (OSError, OverflowError):  # taken, or beyond the last port
            listener.bind(("127.0.0.1", 0))
        yield listener


def _leading_out(html: str) -> str:
    """Let links leave the frame, without disturbing what decides about the rendering mode."""
    base = '<base target="_top">'
    heads = list(_HEAD.finditer(html))
    at = heads[-1].end() if heads else 0
    return f"{html[:at]}{base}{html[at:]}"


def _static(name: str) -> "Callable[[Request], FileResponse]":
    def serve(_request: Request) -> FileResponse:
        return FileResponse(STATIC / name, headers=_COMMON)

    return serve
