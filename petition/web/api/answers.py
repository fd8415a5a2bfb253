"""What every answer of the API has in common: open to any site, counted against a limit, errors as problems.

The limit is told as in draft-ietf-httpapi-ratelimit-headers-11 (May 2026). Answers from kept bytes never come here, so
they cost nothing and are not counted; they tell the limit, but not what is left of it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from petition.core.errors import TooMany
from petition.web import http
from petition.web.page_cache import Header
from petition.web.throttle import MINUTE, Remaining

View = Callable[[Request], Awaitable[Response]]

FOR_ANYONE: Header = (b"access-control-allow-origin", b"*")
EXPOSED: Header = (b"access-control-expose-headers", b"ETag, RateLimit, RateLimit-Policy, Retry-After")
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
    """A limit under the name that its headers have."""

    name: str
    heavy: bool  # asks the database


MEMORY = Policy("memory", heavy=False)
DATABASE = Policy("database", heavy=True)


def preflight() -> Response:
    """Answer OPTIONS: anyone may ask anything, with any header."""
    return Response(status_code=204, headers=PREFLIGHT)


def limited(policy: Policy, view: View) -> View:
    """Return ``view`` counted against ``policy``; it answers OPTIONS too."""

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return preflight()
        throttle, network = http.services_of(request).throttle, http.network_of(request)
        try:
            if policy.heavy:
                async with throttle.read_slot(network) as left:
                    response = await view(request)
            else:
                left = throttle.allow_api_call(network)
                response = await view(request)
        except TooMany as error:
            return too_many(request, policy, error.retry_after)
        response.raw_headers = _with(response.raw_headers, [EXPOSED, *_told(policy, left)])
        return response

    answer.__name__ = view.__name__
    return answer


def _with(headers: list[Header], more: list[Header]) -> list[Header]:
    """Return a list of its own, ``more`` in the place of what is there: a kept answer's headers stay as they are."""
    named = {name for name, _ in more}
    return [*(each for each in headers if each[0] not in named), *more]


def _told(policy: Policy, left: Remaining) -> list[Header]:
    return [
        limit_told(policy, left.limit),
        (b"ratelimit", b'"%s";r=%d;t=%d' % (policy.name.encode(), left.remaining, left.seconds)),
    ]


def limit_told(policy: Policy, most: int) -> Header:
    """Return the header that tells a limit of ``most`` requests a minute."""
    return b"ratelimit-policy", b'"%s";q=%d;w=%d' % (policy.name.encode(), most, MINUTE)


def too_many(request: Request, policy: Policy, seconds: int) -> Response:
    """Return the 429 of a network that has used up its minute."""
    limits = http.services_of(request).settings.limits
    body = {
        "type": QUOTA_EXCEEDED,
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Your network has made too many requests this minute.",
        "violated-policies": [policy.name],
    }
    response = JSONResponse(body, 429, {"cache-control": "no-store"}, media_type="application/problem+json")
    left = Remaining(limits.reading if policy.heavy else limits.api, 0, seconds)
    response.raw_headers += [FOR_ANYONE, EXPOSED, (b"retry-after", b"%d" % seconds), *_told(policy, left)]
    return response
