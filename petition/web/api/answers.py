"""Common to all API responses: CORS for any site, rate limits and their headers, the 429 as a problem.

The headers follow draft-ietf-httpapi-ratelimit-headers-11 (May 2026). Cached responses are sent before a view runs, so
they are not counted; they carry the limit, but not what is left of it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition.core.errors import TooMany
from petition.web import http
from petition.web.page_cache import Header
from petition.web.throttle import MINUTE

View = Callable[[Request], Awaitable[Response]]

FOR_ANYONE: Header = (b"access-control-allow-origin", b"*")
EXPOSED: Header = (b"access-control-expose-headers", b"Data-As-Of, ETag, RateLimit, RateLimit-Policy, Retry-After")
ALLOWED = "GET, HEAD, OPTIONS"
PREFLIGHT = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": ALLOWED,
    "access-control-allow-headers": "*",
    "access-control-max-age": "86400",
    "allow": ALLOWED,
    "cache-control": "public, max-age=86400",
}
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


@dataclass(frozen=True, slots=True)
class Policy:
    """A rate limit; ``name`` stands in its headers."""

    name: str
    uses_database: bool


MEMORY = Policy("memory", uses_database=False)
DATABASE = Policy("database", uses_database=True)


def preflight() -> Response:
    """Answer OPTIONS: any site may send any request header."""
    return Response(status_code=204, headers=PREFLIGHT)


def limited(policy: Policy, view: View) -> View:
    """Return ``view`` counted against ``policy``; it answers OPTIONS too."""

    async def limited_view(request: Request) -> Response:
        if request.method == "OPTIONS":
            return preflight()
        throttle, network = http.services_of(request).throttle, http.network_of(request)
        try:
            if policy.uses_database:
                async with throttle.read_slot(network):
                    response = await view(request)
            else:
                throttle.allow_api_call(network)
                response = await view(request)
        except TooMany as error:
            return too_many(request, policy, error.retry_after)
        limit = _limit_of(request, policy)
        response.raw_headers = _replace(response.raw_headers, [EXPOSED, policy_header(policy, limit)])
        return response

    limited_view.__name__ = view.__name__
    return limited_view


def _replace(headers: list[Header], replacements: list[Header]) -> list[Header]:
    """Return a new list: ``headers`` may belong to a cached response."""
    names = {name for name, _ in replacements}
    return [*(header for header in headers if header[0] not in names), *replacements]


def _limit_of(request: Request, policy: Policy) -> int:
    limits = http.services_of(request).settings.limits
    return limits.reading if policy.uses_database else limits.api


def policy_header(policy: Policy, limit: int) -> Header:
    return b"ratelimit-policy", b'"%s";q=%d;w=%d' % (policy.name.encode(), limit, MINUTE)


def too_many(request: Request, policy: Policy, seconds: int) -> Response:
    """Return the 429 of a network that has used up its limit; ``seconds`` until the minute ends."""
    body = {
        "type": QUOTA_EXCEEDED,
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Your network has made too many requests this minute.",
        "violated-policies": [policy.name],
    }
    response = JSONResponse(body, 429, {"cache-control": "no-store"}, media_type="application/problem+json")
    # Only here: what is left before would show what others of the network have read (docs/decisions/no-meter.md).
    used_up = (b"ratelimit", b'"%s";r=0;t=%d' % (policy.name.encode(), seconds))
    policy_line = policy_header(policy, _limit_of(request, policy))
    response.raw_headers += [FOR_ANYONE, EXPOSED, (b"retry-after", b"%d" % seconds), policy_line, used_up]
    return response
