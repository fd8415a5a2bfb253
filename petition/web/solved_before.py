"""A challenge that was solved for a form which then could not be stored: it need not be solved again.

The page that says so holds a token with the challenge. A form sent again with it uses up the same challenge, so that it
is stored once, also if the first one was stored after all and only the answer got lost.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.requests import Request

from petition.captcha import Passed
from petition.core.errors import BadToken
from petition.core.ids import LetterId
from petition.web import http
from petition.web.services import Services

AGAIN = "again"  # the hidden field
_PASSED = "petition.passed"  # in the ASGI scope


def note(request: Request, letter_id: LetterId, passed: Passed) -> None:
    """Note what has been solved in this request."""
    request.scope[_PASSED] = letter_id, passed


def fields(request: Request) -> dict[str, str]:
    """Return the hidden field of the form to send again; none if nothing was solved."""
    if _PASSED not in request.scope:
        return {}
    letter_id, passed = request.scope[_PASSED]
    tokens, expires_at = http.services_of(request).tokens, int(passed.expires_at.timestamp())
    return {AGAIN: tokens.for_again(letter_id, passed.nonce, expires_at, passed.price, drawn=passed.drawn)}


def passed_in(services: Services, letter_id: LetterId, form: Mapping[str, str]) -> Passed | None:
    """Return the solved challenge that a form brings back, if it is this letter's and has not expired."""
    token = form.get(AGAIN)
    if not token:
        return None
    try:
        of_letter, nonce, expires_at, price, drawn = services.tokens.read_again(token)
    except BadToken:
        return None
    if of_letter != letter_id or expires_at <= datetime.now(UTC).timestamp():
        return None
    return Passed(nonce, datetime.fromtimestamp(expires_at, UTC), price, drawn)
