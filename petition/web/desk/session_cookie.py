"""The cookie that carries a session of the desk."""

from typing import Any

from starlette.responses import Response

from petition.core.settings import Settings
from petition.organizers import sessions
from petition.web.desk.visit import ROOT


def cookie_name(settings: Settings) -> str:
    """Return the cookie's name. ``__Host-`` keeps other hosts of the same domain from setting it."""
    return "__Host-desk" if settings.secure else "desk"


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Store ``token`` in the browser, for a week at most."""
    response.set_cookie(cookie_name(settings), token, max_age=sessions.MAX_AGE, **_attributes(settings))


def delete_cookie(response: Response, settings: Settings) -> None:
    response.delete_cookie(cookie_name(settings), **_attributes(settings))


def _attributes(settings: Settings) -> dict[str, Any]:
    # Browsers require Path=/ for a name with __Host-.
    path = "/" if settings.secure else ROOT
    return {"path": path, "secure": settings.secure, "httponly": True, "samesite": "lax"}
