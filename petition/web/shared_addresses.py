"""Addresses as people pass them on: repaired, where they differ from ours only by what programs and hands add.

Messengers, mail programs and posters add a slash, capitals, closing punctuation, invisible characters, parameters of
advertisers. Only a request that would be a 404 comes here, so the addresses as they are cost nothing. What is sent back
is put together from our own routes, existing short names and tokens: it leads to no other site. See
docs/decisions/shared-addresses.md.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from petition.core.errors import Gone, PetitionError
from petition.core.tokens import Tokens
from petition.web import http
from petition.web.services import Services

MAX_LENGTH = 1000  # characters of a path; ours are shorter
DESK = "/organizer"
FOR_PROGRAMS = ("/api/", "/badge/", "/embed", "/oembed")
SILENT = ("/metrics", "/healthz", "/readyz", "/static")  # for machines, which take no address from a chat
LETTER_CASE = frozenset({"lang", "slug", "kind", "what"})  # parameters that are lower case; all others are exact

_PARAMETER = re.compile(r"\{(\w+)\}")
_VALUE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]+")
_BEGIN_OF_NOT_LETTERS = frozenset("0123456789-_")
_BEGIN_OF_QUERY = re.compile("[?&#]")
_NOT_LETTERS = frozenset("0123456789-_")
_PAIR = re.compile(r"[\w.~%-]+=[!-~]*", re.ASCII)  # a parameter as it stands in a header
_TRACKING = re.compile(
    "(?:utm|mtm|pk|hsa|oly|vero)_.*|(?:fb|g|d|y|ys|tw|tt|mc_|msclk|li_fat_|vk)(?:cl|e|c)?id|[gw]braid|gclsrc|igsh|igshid"
    "|_openstat|_ga|_gl|_hsenc|_hsmi|mkt_tok|epik|s_kwcid|rb_clickid|spm|si",
    re.IGNORECASE,
)


class Pattern(NamedTuple):
    """A route that answers GET: its path with ``{parameters}``, and the expression that its segments match."""

    path: str
    regex: re.Pattern[str]


class Repaired(NamedTuple):
    """An address of ours, put together from a route's ``pattern`` and the ``values`` of its parameters."""

    pattern: str
    values: dict[str, str]

    @property
    def path(self) -> str:
        return self.pattern.format(**self.values)


async def redirect(request: Request) -> Response | None:
    """Return the redirect of a GET that leads nowhere to the address that was meant, or None if there is none.

    308; 303 where the address had no language, and the reader's was chosen.
    """
    app, path = request.scope.get("app"), request.scope["path"]
    if request.method not in {"GET", "HEAD"} or app is None or len(path) > MAX_LENGTH:
        return None
    services = http.services_of(request)
    languages = tuple(services.renderer.languages)
    patterns = _patterns(app)
    repaired = repair(path, patterns, languages)
    if repaired is not None and await _leads_somewhere(services, repaired):
        return None if repaired.path == path else _response(request, repaired.path, 308)
    if f"{path}/".startswith(FOR_PROGRAMS):
        return None
    best = services.renderer.languages.best(request.headers.get("accept-language", ""))
    repaired = repair(f"/{best}/{path}", patterns, languages)
    if repaired is not None and await _leads_somewhere(services, repaired):
        return _response(request, repaired.path, 303)
    return None


def repair(path: str, patterns: Sequence[Pattern], languages: Iterable[str]) -> Repaired | None:
    """Return the address of ours that differs from ``path`` by nothing that matters, or None.

    Repairing the result again changes nothing. Tokens are only cut, see ``tokens_in``.
    """
    exact = "/".join(_segments(path))
    visible = "".join(character for character in exact if not _is_invisible(character))
    codes = {code.lower(): code for code in languages}
    for pattern in patterns:
        match = pattern.regex.fullmatch(exact if "{token}" in pattern.path else visible)
        values = None if match is None else _values(match.groupdict(), codes)
        if values is not None:
            return Repaired(pattern.path, values)
    return None


def cleaned(text: str) -> str:
    """Return a name as it stands in addresses, without what was added to it: lower case, nothing around it."""
    return _trimmed(_BEGIN_OF_QUERY.split(text, maxsplit=1)[0]).lower()


def segments_of(path: str) -> list[str]:
    """Return the cleaned names in a path."""
    return [cleaned(segment) for segment in _segments(path)]


def tokens_in(text: str) -> list[str]:
    """Return what may be the token that ``text`` begins with, the longest first; no character of it is changed."""
    match = _TOKEN.match(text)
    token = "" if match is None else match[0].rstrip(".~")
    shorter = token.rstrip("_-*")  # marks for italics, or the token's own
    return [token[:end] for end in range(len(token), len(shorter) - 1, -1) if end]


@lru_cache(4)
def _patterns(app: Starlette) -> list[Pattern]:
    """Return the patterns of the routes, those that end in a slash first: the others redirect to them."""
    paths = [path for path in paths_of(app.routes) if not path.startswith(SILENT)]
    return [pattern_of(path) for path in sorted(paths, key=lambda path: not path.endswith("/"))]


def paths_of(routes: Iterable[BaseRoute], root: str = "") -> list[str]:
    """Return the paths of all routes that answer GET."""
    paths: list[str] = []
    for route in routes:
        if isinstance(route, Mount):
            paths += paths_of(route.routes or (), root + route.path)
        elif isinstance(route, Route) and "GET" in (route.methods or ()):
            paths.append(root + route.path)
    return paths


def pattern_of(path: str) -> Pattern:
    parts = _PARAMETER.split(path.strip("/"))  # literals and names by turns
    regex = "".join(
        f"(?P<{part}>[^/]+?)" if is_name else re.escape(part) for part, is_name in zip(parts, _turns(), strict=False)
    )
    return Pattern(path, re.compile(regex, re.IGNORECASE))


def _turns() -> Iterable[bool]:
    while True:
        yield False
        yield True


def _segments(path: str) -> list[str]:
    """Return the segments of ``path`` up to a query in it; nothing invisible, no punctuation around them."""
    if "%" in path:  # escaped twice
        path = unquote(path)
    path = _BEGIN_OF_QUERY.split(path, maxsplit=1)[0]
    trimmed = [_trimmed(part) for part in path.split("/")]
    return [segment.split(maxsplit=1)[0] for segment in trimmed if segment]  # words may follow behind a space


def _trimmed(text: str) -> str:
    """Return ``text`` without the characters around it that begin or end no name of ours."""
    start, end = 0, len(text)
    while end and not _is_ours(text[end - 1]):
        end -= 1
    while start < end and not _is_ours(text[start]):
        start += 1
    return text[start:end]


def _is_ours(character: str) -> bool:
    return character.isalpha() or character in _NOT_LETTERS


def _values(params: dict[str, str], codes: dict[str, str]) -> dict[str, str] | None:
    """Return the parameters as our addresses have them, or None if one cannot be ours."""
    values: dict[str, str] = {}
    for name, text in params.items():
        value = text.lower() if name in LETTER_CASE else text
        if name == "lang":
            value = codes.get(value, "")
        elif name == "token":
            value = next(iter(tokens_in(text)), "")
        if not (value if name == "token" else _VALUE.fullmatch(value)):
            return None
        values[name] = value
    return values


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in {"Cf", "Cc", "Mn"}


async def _leads_somewhere(services: Services, repaired: Repaired) -> bool:
    """Return whether the address exists; a token may be cut further for that. The desk says so only to its own."""
    if repaired.pattern.startswith(DESK):
        return True
    if "token" in repaired.values:
        return _choose_token(services.tokens, repaired)
    if "slug" not in repaired.values:
        return True
    try:
        await services.letters.get(repaired.values["slug"])
    except Gone:
        return True  # its page says that it was taken down
    except PetitionError:
        return False
    return True


def _choose_token(tokens: Tokens, repaired: Repaired) -> bool:
    """Set the longest token that is one of ours; False if none is."""
    readers: dict[str, Callable[[str], object]] = {
        "confirm": tokens.read_signature,
        "signature": tokens.read_signature,
        "second": tokens.read_second,
        "reply": tokens.read_reply,
        "answer": tokens.read_answer,
        "never": tokens.read_never,
        "unsubscribe": tokens.read_updates,
        "preview": tokens.read_preview,
    }
    purpose = repaired.pattern.split("/{token}", 1)[0].rpartition("/")[2]
    read = readers.get(purpose)
    if read is None:
        return True
    for token in tokens_in(repaired.values["token"]):
        try:
            read(token)
        except PetitionError:
            continue
        repaired.values["token"] = token
        return True
    return False


def _response(request: Request, path: str, status: int) -> Response:
    query = _query(request)
    headers = {"location": f"{path}?{query}" if query else path, "cache-control": "no-store"}
    if status == 303:
        headers["vary"] = "Accept-Language"
    if path.startswith(FOR_PROGRAMS):
        headers["access-control-allow-origin"] = "*"
    return Response(status_code=status, headers=headers)


def _query(request: Request) -> str:
    """Return the request's parameters and those that stand in its path, without those of advertisers."""
    in_path = _BEGIN_OF_QUERY.split(request.scope["path"], maxsplit=1)[1:]
    parts = [*in_path, request.scope["query_string"].decode("latin-1")]
    pairs = [pair for part in parts for pair in _BEGIN_OF_QUERY.split(part) if _PAIR.fullmatch(pair)]
    return "&".join(pair for pair in pairs if not _TRACKING.fullmatch(pair.partition("=")[0]))
