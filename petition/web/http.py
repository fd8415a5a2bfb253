"""HTTP for every view: the services, the language and form of a request, pages and redirects as responses."""

import asyncio
import binascii
import contextlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from petition.core import request_ids
from petition.core.client_networks import ClientNetwork
from petition.core.database import Record
from petition.core.errors import NotFound
from petition.core.i18n import Language, pick_language
from petition.core.reading import Freshness
from petition.core.templates import Renderer
from petition.web import multipart
from petition.web.content_codings import Coding, best_coding, compress
from petition.web.headers import html_headers, plain_policy
from petition.web.multipart import MultipartForm
from petition.web.page_cache import PUBLIC, CachedResponse, Header, build_response
from petition.web.services import Services

NUMBER = "request-number"  # in a rendered error page, where that of the request goes
MAX_BYTES = 64 * 1024  # of a body on public routes
MAX_FIELDS = 60
BODY_TIMEOUT = 20.0  # seconds for a body to arrive
MAX_DISCARDED = 64 * 1024 * 1024  # bytes of a body that is read for the client's sake only
DISCARD_TIMEOUT = 10.0  # seconds until its next piece arrives
DISCARD_SECONDS = 120.0  # for all of it

_BODY = "petition.body"  # in the ASGI scope

HTML = b"text/html; charset=utf-8"
URL_SAFE = ":/%#?=@[]!$&'()*+,;"  # not escaped in a path (RFC 3986, 2.2); "%" because escapes stay
_ESCAPES = re.compile(rb"%[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*")  # begins with "%", so that the rest is passed over fast


class ErrorText(NamedTuple):
    """The text of an error page. ``reason`` is (language, text by an organizer), ``retry_after`` is in seconds.

    ``has_number``: the page has the request's number, by which the log has what happened.
    """

    title: str
    message: str
    reason: tuple[str, str] = ("", "")
    retry_after: int | None = None
    has_number: bool = False


def services_of(request: Request) -> Services:
    services: Services = request.scope["state"]["services"]  # hot: request.state would create an object first
    return services


def lang_of(request: Request) -> str:
    """Return the page's language: set by the desk's guard, or from the path, or by ``Accept-Language``."""
    desk_lang: str | None = request.scope["state"].get("lang")
    if desk_lang is not None:
        return desk_lang
    languages = services_of(request).renderer.languages
    lang = request.path_params.get("lang") or request.url.path.split("/")[1]
    return lang if lang in languages else languages.best(request.headers.get("accept-language", ""))


def language_of(request: Request) -> Language:
    """Return the page's language with its catalogue."""
    return services_of(request).renderer.languages[lang_of(request)]


def check_lang(request: Request) -> str:
    """Return the language in the path. Raises a 404 if there is no catalogue for it."""
    lang: str = request.path_params["lang"]
    if lang not in services_of(request).renderer.languages:
        raise HTTPException(404)
    return lang


def network_of(request: Request) -> ClientNetwork:
    """Return the network whose limits the request counts against."""
    network: ClientNetwork = request.scope["network"]  # set by the gateway (petition.web.listeners)
    return network


async def form_of(request: Request, max_bytes: int = MAX_BYTES) -> dict[str, str]:
    """Return the fields of an urlencoded form; of several values of one name the last.

    Raises 400 (broken encoding, null byte), 408, 413, 415.
    """
    return parse_form(await urlencoded_body(request, max_bytes))


async def urlencoded_body(request: Request, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the body of an urlencoded form. Raises 408, 413, 415."""
    if not _is_urlencoded(header_of(request, b"content-type")):
        raise HTTPException(415)
    return await body_of(request, max_bytes)


def _is_urlencoded(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() in {b"", b"application/x-www-form-urlencoded"}


def header_of(request: Request, name: bytes) -> bytes:
    """Return the first value of a header; the framework would make an object of all of them first."""
    for header, value in request.scope["headers"]:
        if header == name:
            return bytes(value)
    return b""


async def body_of(request: Request, max_bytes: int, seconds: float | None = None) -> bytes:
    """Return the body. Raises 413 above ``max_bytes``, 408 after ``seconds`` (BODY_TIMEOUT)."""
    if (body := request.scope.get(_BODY)) is not None and len(body) <= max_bytes:
        return bytes(body)
    try:
        async with asyncio.timeout(seconds or BODY_TIMEOUT):  # wait_for would start a task for every form
            body = request.scope[_BODY] = await _body(request, max_bytes)  # for the page that lets it be sent again
            return body
    except TimeoutError:
        raise HTTPException(408) from None
    except RuntimeError:  # it was read, and not stored
        raise HTTPException(400) from None


def read_body_of(request: Request) -> bytes | None:
    """Return the body if ``body_of`` has read it before, however large it is."""
    body: bytes | None = request.scope.get(_BODY)
    return body


async def discard_body(request: Request) -> None:
    """Read what is left of a body, without storing it: a browser whose upload is cut off shows no page.

    Some proxies, too, answer 502 if the server responds before it has read everything.
    """
    if "expect" in request.headers:  # the client waits for our response before it sends anything
        return
    size, pieces = 0, aiter(request.stream())
    # A RuntimeError: all of it was read.
    with contextlib.suppress(StopAsyncIteration, TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while size < MAX_DISCARDED:
                async with asyncio.timeout(DISCARD_TIMEOUT):
                    size += len(await anext(pieces))


def parse_form(body: bytes, max_fields: int = MAX_FIELDS) -> dict[str, str]:
    """Return the fields of an urlencoded body. Raises 400 for a broken encoding or a null byte.

    Browsers escape everything that is not ASCII; other programs need not (WHATWG URL, 5.1).
    """
    if body.count(b"&") >= max_fields or b"%00" in body or b"\0" in body:
        raise HTTPException(400)
    texts: list[bytes] = []
    for pair in body.replace(b"+", b" ").split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            texts += name, value
    try:
        # All at once, with the one character in between that cannot be in them.
        words = _unescape(b"\0".join(texts)).split("\0") if texts else []
    except ValueError:
        raise HTTPException(400) from None
    return dict(zip(words[::2], words[1::2], strict=True))


def parse_any_form(content_type: str, body: bytes, max_fields: int = MAX_FIELDS) -> MultipartForm:
    """Return the form in a body, with files or without. Raises 400, 415."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in {"", "application/x-www-form-urlencoded"}:
        return MultipartForm(parse_form(body, max_fields))
    if media_type != "multipart/form-data":
        raise HTTPException(415)
    try:
        return multipart.parse(content_type, body)
    except multipart.BadForm:
        raise HTTPException(400) from None


def _unescape(text: bytes) -> str:
    """Decode urlencoded ``text``. Raises ``ValueError`` if it is not UTF-8.

    Runs of escapes are decoded at once: a Cyrillic name is one, and the standard library takes five times as long.
    """
    if b"%" in text:
        text = _ESCAPES.sub(_unescape_run, text)
    return text.decode()


def _unescape_run(match: re.Match[bytes]) -> bytes:
    return binascii.unhexlify(match[0].replace(b"%", b""))


async def _body(request: Request, max_bytes: int) -> bytes:
    announced = header_of(request, b"content-length")
    if announced.isdigit() and int(announced) > max_bytes:
        raise HTTPException(413)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise HTTPException(413)
        chunks.append(chunk)
    return b"".join(chunks)


def redirect(path: str) -> Response:
    """Answer 303 to a path of this site, uncached."""
    return Response(status_code=303, headers={"location": quote(path, safe=URL_SAFE), "cache-control": "no-store"})


def context(request: Request, **extra: object) -> dict[str, Any]:
    """Return the variables of every page, and ``extra``."""
    path: str = request.scope["path"]
    lang = lang_of(request)
    here = path.removeprefix(f"/{lang}") if path.startswith(f"/{lang}/") else "/"
    return {"here": here, "canonical": None, "banners": banners(request, lang, extra.get("letter")), **extra}


def banners(request: Request, lang: str, letter: object = None) -> list[tuple[str, str]]:
    """Return (language, text) of the notices on top of a page about ``letter``, or about none."""
    switches = getattr(letter, "switches", None)
    return [pick_language(texts, lang) for texts in (switches or services_of(request).notices).banners]


def page(request: Request, name: str, status: int = 200, /, **extra: object) -> Response:
    """Answer with template ``name`` in the page's language, uncached."""
    lang = lang_of(request)
    body = services_of(request).renderer.render(name, lang, **context(request, **extra)).encode()
    # No page mixes a secret with input that an attacker can choose (there are no cookies), so compressing leaks nothing
    # (BREACH); and error pages have to fit where connections stall after 16 KB.
    coding = coding_for(request)
    return uncached(request, name, compress(body, coding), status, coding)


def error_page(request: Request, status: int, text: ErrorText) -> Response:
    """Answer with an error page, rendered once per text."""
    services, lang = services_of(request), lang_of(request)
    coding, notices = coding_for(request), tuple(banners(request, lang))
    if text.has_number:
        page = _error(services.renderer, lang, status, text, notices, Coding.IDENTITY)
        number = (request_ids.current.get() or "").encode()
        body = compress(page.replace(NUMBER.encode(), number), coding)
    else:
        body = _error(services.renderer, lang, status, text, notices, coding)
    return uncached(request, "error.html", body, status, coding)


@lru_cache(512)
def _error(
    renderer: Renderer, lang: str, status: int, text: ErrorText, banners: tuple[tuple[str, str], ...], coding: Coding
) -> bytes:
    number = NUMBER if text.has_number else None
    variables = {
        **text._asdict(),
        "request_number": number,
        "status": status,
        "here": "/",
        "canonical": None,
        "banners": banners,
    }
    return compress(renderer.render("error.html", lang, **variables).encode(), coding)


def uncached(request: Request, name: str, body: bytes, status: int, coding: Coding) -> Response:
    """Answer with what template ``name`` was rendered to, in ``coding``; no cache stores it."""
    headers = {
        "cache-control": "no-store",
        "content-language": lang_of(request),
        "content-security-policy": plain_policy(services_of(request).renderer.sheet_of(name).hash),
        "vary": "Accept-Encoding",
    }
    if coding is not Coding.IDENTITY:
        headers["content-encoding"] = coding.value
    return Response(body, status, headers | _onion(request), media_type="text/html")


def cacheable_page(
    request: Request,
    name: str,
    extra_headers: Sequence[Header] = (),
    cache_control: bytes = PUBLIC,
    /,
    **extra: object,
) -> CachedResponse:
    """Return template ``name`` as a cacheable page; its canonical address is its path.

    ``extra_headers`` replace the default ones.
    """
    services, lang = services_of(request), lang_of(request)
    variables = context(request, **({"canonical": services.settings.base_url + request.url.path} | extra))
    text = services.renderer.render(name, lang, **variables)
    replaced = {header for header, _ in extra_headers}
    defaults = html_headers(services.settings, services.renderer.sheet_of(name).hash)
    headers = [*(header for header in defaults if header[0] not in replaced), (b"content-language", lang.encode())]
    headers += [(header.encode(), value.encode()) for header, value in _onion(request).items()]
    return build_response(text.encode(), HTML, [*headers, *extra_headers, *as_of(request)], cache_control)


def age_of(request: Request) -> float | None:
    """Return how old what this request has read is at most (seconds); None where all came from the primary."""
    freshness: Freshness | None = request.scope["state"].get("freshness")
    return None if freshness is None else freshness.age


def as_of(request: Request) -> list[Header]:
    """Return the header that says when what a replica had was true; none where all came from the primary."""
    age = age_of(request)
    if age is None:
        return []
    moment = datetime.now(UTC) - timedelta(seconds=age)
    return [(b"data-as-of", f"{moment:%Y-%m-%dT%H:%M:%SZ}".encode())]


def _onion(request: Request) -> dict[str, str]:
    onion = services_of(request).settings.onion_url
    return {"onion-location": f"{onion}{quote(request.url.path)}"} if onion else {}


def coding_for(request: Request) -> Coding:
    """Return the coding in which to answer this client."""
    return best_coding(accept_encoding_of(request))


def accept_encoding_of(request: Request) -> bytes | None:
    return _header(request, "accept-encoding")


def _header(request: Request, name: str) -> bytes | None:
    value = request.headers.get(name)
    return None if value is None else value.encode("latin-1")


class CachedPageResponse(Response):
    """A cached page, or the 304 for a client that has it."""

    def __init__(self, request: Request, page: CachedResponse) -> None:
        self.background = None
        self.status_code, self.raw_headers, self.body = page.select(
            _header(request, "accept-encoding"), _header(request, "if-none-match")
        )


def cached_body_as(request: Request, page: CachedResponse, status: int) -> Response:
    """Answer with the body of ``page`` under another status, uncached."""
    response = Response(status_code=status)
    _, headers, response.body = page.select(_header(request, "accept-encoding"), None)
    response.raw_headers = [header for header in headers if header[0] not in {b"etag", b"cache-control"}]
    response.headers["cache-control"] = "no-store"
    return response


def picture(row: Record | None, cache_control: str) -> Response:
    """Answer with a stored picture (content, type). Raises ``NotFound``."""
    if row is None:
        raise NotFound("there is no such picture")
    return Response(row["content"], headers=picture_headers(cache_control), media_type=row["type"])


def picture_headers(cache_control: str) -> dict[str, str]:
    return {"cache-control": cache_control, "content-security-policy": "default-src 'none'; sandbox"}


def document(media_type: str, content: bytes, name: str, cache_control: str) -> Response:
    """Answer with a file of others, to be saved as ``name`` and never opened in a page of ours."""
    return Response(content, headers=document_headers(media_type, name, cache_control), media_type=media_type)


def document_headers(media_type: str, name: str, cache_control: str) -> dict[str, str]:
    ending = {"application/pdf": "pdf", "image/png": "png", "image/jpeg": "jpg"}[media_type]
    return {
        "cache-control": cache_control,
        "content-disposition": f'attachment; filename="{name}.{ending}"',
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
        "x-robots-tag": "noindex",
    }
