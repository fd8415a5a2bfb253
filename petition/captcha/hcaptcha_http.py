"""The HTTP client that replaces the ``hcaptcha`` package's own. Imported only when configured.

The package opens an ``aiohttp.ClientSession()`` for each question and has no way to pass one in, so the name it
calls is replaced in its module. The session it then gets follows no redirect (the secret would go with it), keeps no
cookie, reads at most 16 KB, and takes nothing but status 200 and JSON of the documented shape.
"""

import json
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import aiohttp
from hcaptcha import hcaptcha as package

MAX_BODY = 16 * 1024
TIMEOUT = aiohttp.ClientTimeout(total=5)


class Unclear(Exception):
    """The other side answered something that is not an answer."""


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
        return _documented(json.loads(body))


def verifier(secret_key: str, verify_url: str) -> Any:
    """Return the package's verifier, without a logger (it would log the secret)."""
    package.aiohttp = SimpleNamespace(ClientSession=_session)
    verifier = package.HCaptchaVerifier(secret_key)
    verifier.verification_url = verify_url
    return verifier


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        response_class=StrictResponse,
        middlewares=(_only_ok,),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=TIMEOUT,
    )


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
