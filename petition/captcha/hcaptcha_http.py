"""The HTTP client that replaces the ``hcaptcha`` package's own. Imported only when configured.

The package opens an ``aiohttp.ClientSession()`` for each question and has no way to pass one in, so the name it
calls is replaced in its module. The session it then gets follows no redirect (the secret would go with it), keeps no
cookie, reads at most 16 KB, and takes nothing but status 200 and JSON of the documented shape.
"""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
from hcaptcha import hcaptcha as package

from petition.core.captcha_settings import HCaptcha

MAX_BODY = 16 * 1024
TIMEOUT = aiohttp.ClientTimeout(total=5)


class Unclear(Exception):
    """The other side answered something that is not an answer."""


@dataclass(slots=True)
class Exchange:
    """One question and its answer: what the package neither sends nor returns."""

    site_key: str
    hostname: object = None


_exchange: ContextVar[Exchange] = ContextVar("exchange")


class StrictResponse(aiohttp.ClientResponse):
    """A response whose JSON is small, and shaped as hCaptcha documents it."""

    async def json(self, **_: object) -> dict[str, Any]:
        """Return the checked body. Raises ``Unclear``, or ``ValueError`` if it isn't JSON."""
        if self.content_type != "application/json":
            raise Unclear("not JSON")
        body = bytearray()
        async for chunk in self.content.iter_any():
            body += chunk
            if len(body) > MAX_BODY:
                raise Unclear("too long")
        answer = _documented(json.loads(body))
        _exchange.get().hostname = answer.get("hostname")
        return answer


class StrictVerifier(package.HCaptchaVerifier):  # type: ignore[misc]  # the package has no types
    """The package's verifier, which neither names the site key nor returns the host, doing both."""

    def __init__(self, settings: HCaptcha) -> None:
        super().__init__(settings.secret_key)  # without a logger: it would log the secret
        self.verification_url = settings.verify_url
        self._site_key = settings.site_key

    async def verify(self, response: str, remote_ip: str | None = None) -> Any:
        """Return the package's own result, and ``hostname`` as hCaptcha has it."""
        exchange = Exchange(self._site_key)
        token = _exchange.set(exchange)
        try:
            result = await super().verify(response, remote_ip)
        finally:
            _exchange.reset(token)
        return {**result, "hostname": exchange.hostname}


def verifier(settings: HCaptcha) -> Any:
    """Return a verifier that talks through our own session."""
    package.aiohttp = SimpleNamespace(ClientSession=StrictSession)
    return StrictVerifier(settings)


class StrictSession:
    """What the package takes for its session."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            response_class=StrictResponse,
            middlewares=(_only_ok,),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=TIMEOUT,
            auto_decompress=False,  # a few compressed bytes may be gigabytes
            headers={"accept-encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._session.close()

    def post(self, url: str, *, data: Mapping[str, str]) -> Any:
        """Ask, naming the site key, which the answer then is about."""
        return self._session.post(url, data={**data, "sitekey": _exchange.get().site_key})


async def _only_ok(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Refuse a redirect before it is followed, and any other status before its body is read."""
    response = await handler(request)
    if response.status != HTTPStatus.OK:
        response.close()
        raise Unclear("not 200")
    return response


def _documented(answer: object) -> dict[str, Any]:
    """Return ``answer`` if each field we know has the type hCaptcha documents, and it does not contradict itself."""
    if not isinstance(answer, dict):
        raise Unclear("not an object")
    errors = answer.get("error-codes", [])
    if not isinstance(errors, list) or not all(isinstance(error, str) for error in errors):
        raise Unclear("error-codes")
    if not isinstance(answer.get("hostname"), str | None):
        raise Unclear("hostname")
    if not isinstance(answer.get("success"), bool) or (answer["success"] and errors):
        raise Unclear("success")
    return answer
