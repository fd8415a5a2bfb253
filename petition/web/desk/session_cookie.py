"""The cookie that carries a session of the desk."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from petition.core.settings import Settings
from petition.organizers import sessions
from petition.web.desk.visit import ROOT

POSITION = re.compile(r"[0-9a-f]{1,16}")
POSITION_AGE = 60  # seconds: what is read from a replica is never older


def cookie_name(settings: Settings) -> str:
    """Return the cookie's name. ``__Host-`` keeps other hosts of the same domain from setting it."""
    return "__Host-desk" if settings.secure else "desk"


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Store ``token`` in the browser, for a week at most."""
    response.set_cookie(cookie_name(settings), token, max_age=sessions.MAX_AGE, **_attributes(settings))


def delete_cookie(response: Response, settings: Settings) -> None:
    response.delete_cookie(cookie_name(settings), **_attributes(settings))


def position_of(request: Request, settings: Settings) -> int:
    """Return up to where a replica must be for this browser: the position after its last act, 0 without one."""
    text = request.cookies.get(_position_name(settings), "")
    return int(text, 16) if POSITION.fullmatch(text) else 0


def set_position(response: Response, settings: Settings, position: int) -> None:
    """Store the position of the primary's log after an act, which says nothing of the organizer, for a minute."""
    response.set_cookie(_position_name(settings), f"{position:x}", max_age=POSITION_AGE, **_attributes(settings))


def _position_name(settings: Settings) -> str:
    return "__Host-desk-position" if settings.secure else "desk-position"


def _attributes(settings: Settings) -> dict[str, Any]:
    # Browsers require Path=/ for a name with __Host-.
    path = "/" if settings.secure else ROOT
    return {"path": path, "secure": settings.secure, "httponly": True, "samesite": "lax"}
