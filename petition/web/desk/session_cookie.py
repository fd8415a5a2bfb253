"""The cookie that carries a session of the desk."""

from starlette.responses import Response

from petition.core.settings import Settings
from petition.organizers import sessions
from petition.web.desk.visit import ROOT


def cookie_name(settings: Settings) -> str:
    """Return the cookie's name. ``__Host-`` keeps other hosts of the same domain from setting it."""
    return "__Host-desk" if settings.secure else "desk"


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Have the browser keep ``token``, for a week at most. Browsers want ``Path=/`` for the name with ``__Host-``."""
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=sessions.MAX_AGE,
        path="/" if settings.secure else ROOT,
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response, settings: Settings) -> None:
    """Have the browser forget the cookie."""
    response.delete_cookie(
        cookie_name(settings),
        path="/" if settings.secure else ROOT,
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )
