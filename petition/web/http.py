"""What every view needs of HTTP: the site, the language, the form that was sent, a page to answer with."""

import asyncio
import gzip
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.client_networks import of_scope
from petition.core.database import Record
from petition.core.errors import NotFound
from petition.core.i18n import Language, pick_language
from petition.core.templates import Renderer
from petition.web.headers import html_headers
from petition.web.page_cache import CachedResponse, Header, accepts_gzip, build_response, etag_matches
from petition.web.services import Services

MAX_BYTES = 64 * 1024  # of a body on public routes
MAX_FIELDS = 60
BODY_TIMEOUT = 20.0  # seconds for a body to arrive

HTML = b"text/html; charset=utf-8"
URL_SAFE = ":/%#?=@[]!$&'()*+,;"  # stand in an address as they are (RFC 3986, 2.2), and so do escapes
_ESCAPED = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


class ErrorText(NamedTuple):
    """What an error's page says. ``reason`` is (language, what somebody typed), ``retry_after`` in seconds."""

    title: str
    message: str
    reason: tuple[str, str] = ("", "")
    retry_after: int | None = None


def services_of(request: Request) -> Services:
    """Return what the lifespan made."""
    services: Services = request.scope["state"]["services"]  # hot: request.state would make an object first
    return services


def lang_of(request: Request) -> str:
    """Return the page's language: the one in the address, or the one the reader's browser wants.

    On the desk its guard says which.
    """
    chosen: str | None = request.scope["state"].get("lang")
    if chosen is not None:
        return chosen
    languages = services_of(request).renderer.languages
    lang = request.path_params.get("lang") or request.url.path.split("/")[1]
    return lang if lang in languages else languages.best(request.headers.get("accept-language", ""))


def language_of(request: Request) -> Language:
    """Return the language of the page with its catalogue."""
    return services_of(request).renderer.languages[lang_of(request)]


def check_lang(request: Request) -> str:
    """Return the language in the address. Raises a 404 if it is none of ours."""
    lang: str = request.path_params["lang"]
    if lang not in services_of(request).renderer.languages:
        raise HTTPException(404)
    return lang


def network_of(request: Request) -> str:
    """Return the network this request counts for."""
    asked: dict[str, Any] = request.scope["state"]  # this request's own; a form counts against two limits
    if "network" not in asked:
        asked["network"] = of_scope(request.scope, services_of(request).settings)
    network: str = asked["network"]
    return network


async def form_of(request: Request, most: int = MAX_BYTES) -> dict[str, str]:
    """Return the fields of a form that was sent, each name once (the last one).

    Raises 400 (broken encoding, null byte), 408, 413, 415.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"", "application/x-www-form-urlencoded"}:
        raise HTTPException(415)
    return parse_form(await body_of(request, most))


async def body_of(request: Request, most: int, seconds: float | None = None) -> bytes:
    """Return a body of at most ``most`` bytes that arrives within ``seconds`` (BODY_TIMEOUT). Raises 408, 413."""
    try:
        async with asyncio.timeout(seconds or BODY_TIMEOUT):  # wait_for would start a task for every form
            return await _body(request, most)
    except TimeoutError:
        raise HTTPException(408) from None


def parse_form(body: bytes, most_fields: int = MAX_FIELDS) -> dict[str, str]:
    """Return the fields of an urlencoded body. Raises 400 for a broken encoding or a null byte.

    Browsers escape all that is not ASCII; other programs may leave it as it is (WHATWG URL, 5.1).
    """
    if body.count(b"&") >= most_fields or b"%00" in body or b"\0" in body:
        raise HTTPException(400)
    try:
        pairs = (each.partition(b"=") for each in body.replace(b"+", b" ").split(b"&") if each)
        return {_unescaped(name): _unescaped(value) for name, _, value in pairs}
    except ValueError:
        raise HTTPException(400) from None


def _unescaped(text: bytes) -> str:
    """Return what urlencoded ``text`` stands for. Whole runs of escapes at once: a Cyrillic name is nothing else, and
    the standard library takes five times as long over it. Raises ``ValueError`` if it is not UTF-8."""
    if b"%" in text:
        text = _ESCAPED.sub(lambda found: bytes.fromhex(found[0].replace(b"%", b"").decode()), text)
    return text.decode()


async def _body(request: Request, most: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most:
        raise HTTPException(413)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise HTTPException(413)
        chunks.append(chunk)
    return b"".join(chunks)


def redirect(path: str) -> Response:
    """Answer 303 to a path of ours; nobody keeps it."""
    return Response(status_code=303, headers={"location": quote(path, safe=URL_SAFE), "cache-control": "no-store"})


def context(request: Request, **extra: object) -> dict[str, Any]:
    """Return what every template is given, and ``extra``."""
    path = request.url.path
    lang = lang_of(request)
    here = path.removeprefix(f"/{lang}") if path.startswith(f"/{lang}/") else "/"
    return {"here": here, "canonical": None, "banners": _banners(request, lang, extra.get("letter")), **extra}


def _banners(request: Request, lang: str, letter: object) -> list[tuple[str, str]]:
    """Return (language, text) of what stands on top of a page about ``letter``, or about none."""
    switches = getattr(letter, "switches", None)
    return [pick_language(texts, lang) for texts in (switches or services_of(request).notices).banners]


def page(request: Request, name: str, status: int = 200, /, **extra: object) -> Response:
    """Answer with template ``name`` in the page's language; never kept by anyone."""
    lang = lang_of(request)
    body = services_of(request).renderer.render(name, lang, **context(request, **extra)).encode()
    # No page mixes a secret with what a stranger may choose (there are no cookies), so compressing tells nobody
    # anything; and an error page must pass where connections freeze after 16 KB as well.
    small = _takes_gzip(request)
    return _uncached(request, gzip.compress(body, compresslevel=6, mtime=0) if small else body, status, small=small)


def error_page(request: Request, status: int, told: ErrorText) -> Response:
    """Answer with an error in words. It is the same for all who make this mistake, so it is made once."""
    services, lang = services_of(request), lang_of(request)
    made = _error(services.renderer, lang, status, told, tuple(_banners(request, lang, None)))
    small = _takes_gzip(request)
    return _uncached(request, made[small], status, small=small)


@lru_cache(256)
def _error(
    renderer: Renderer, lang: str, status: int, told: ErrorText, banners: tuple[tuple[str, str], ...]
) -> tuple[bytes, bytes]:
    """Return an error's page as it is, and compressed."""
    shown = {**told._asdict(), "status": status, "here": "/", "canonical": None, "banners": banners}
    body = renderer.render("error.html", lang, **shown).encode()
    return body, gzip.compress(body, compresslevel=6, mtime=0)


def _uncached(request: Request, body: bytes, status: int, *, small: bool) -> Response:
    """Return a page that nobody keeps."""
    headers = {"cache-control": "no-store", "content-language": lang_of(request), "vary": "Accept-Encoding"}
    if small:
        headers["content-encoding"] = "gzip"
    return Response(body, status, headers | _onion(request), media_type="text/html")


def cacheable_page(
    request: Request, name: str, extra_headers: Sequence[Header] = (), /, **extra: object
) -> CachedResponse:
    """Return template ``name`` as a kept page; its canonical address is its path.

    ``extra_headers`` take the place of those that every page has.
    """
    services, lang = services_of(request), lang_of(request)
    given = context(request, **({"canonical": services.settings.base_url + request.url.path} | extra))
    text = services.renderer.render(name, lang, **given)
    own = {each for each, _ in extra_headers}
    usual = html_headers(services.settings, services.renderer.css_hash)
    headers = [*(each for each in usual if each[0] not in own), (b"content-language", lang.encode())]
    headers += [(name.encode(), value.encode()) for name, value in _onion(request).items()]
    return build_response(text.encode(), HTML, [*headers, *extra_headers])


def _onion(request: Request) -> dict[str, str]:
    onion = services_of(request).settings.onion_url
    return {"onion-location": f"{onion}{quote(request.url.path)}"} if onion else {}


def _takes_gzip(request: Request) -> bool:
    return accepts_gzip(request.headers.get("accept-encoding", "").encode("latin-1"))


class CachedPageResponse(Response):
    """Sends a kept page, or 304 to a reader who has it."""

    def __init__(self, request: Request, kept: CachedResponse) -> None:
        self.background = None
        if etag_matches(kept.etag, request.headers.get("if-none-match", "").encode("latin-1")):
            self.status_code, self.body, self.raw_headers = 304, b"", kept.not_modified_headers
        elif _takes_gzip(request):
            self.status_code, self.body, self.raw_headers = 200, kept.gzipped, kept.gzip_headers
        else:
            self.status_code, self.body, self.raw_headers = 200, kept.plain, kept.plain_headers


def cached_body_as(request: Request, kept: CachedResponse, status: int) -> Response:
    """Answer with the bytes of ``kept`` under another status; nobody keeps them."""
    small = _takes_gzip(request)
    response = Response(status_code=status)
    response.body = kept.gzipped if small else kept.plain
    headers = kept.gzip_headers if small else kept.plain_headers
    response.raw_headers = [header for header in headers if header[0] not in {b"etag", b"cache-control"}]
    response.headers["cache-control"] = "no-store"
    return response


def picture(row: Record | None, cache_control: str) -> Response:
    """Answer with a picture as it is kept. Raises ``NotFound``."""
    if row is None:
        raise NotFound("there is no such picture")
    headers = {"cache-control": cache_control, "content-security-policy": "default-src 'none'; sandbox"}
    return Response(row["content"], headers=headers, media_type=row["type"])
