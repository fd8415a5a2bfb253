"""The two cookies of the desk's door: that of a browser which has asked for a link, and that of a remembered device."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from petition.core.settings import Settings
from petition.organizers import remembered_devices, sign_in_asks
from petition.web.desk.visit import ROOT

DOOR = f"{ROOT}enter"
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def asked(request: Request, settings: Settings) -> str | None:
    """Return the token of a browser that has asked for a link in the last half hour."""
    return _token(request, _asked_name(settings))


def set_asked(response: Response, settings: Settings, token: str) -> None:
    """Store the token of an ask. Set for every address alike; sent along from a link in a web mailer (``lax``)."""
    max_age = int(sign_in_asks.LIFETIME.total_seconds())
    response.set_cookie(_asked_name(settings), token, max_age=max_age, **_asked_attributes(settings))


def delete_asked(response: Response, settings: Settings) -> None:
    response.delete_cookie(_asked_name(settings), **_asked_attributes(settings))


def device(request: Request, settings: Settings) -> str | None:
    """Return the token of a device in which an organizer has signed in."""
    return _token(request, _device_name(settings))


def set_device(response: Response, settings: Settings, token: str) -> None:
    """Store the token of a remembered device."""
    # Not ``__Host-``, which would need Path=/: an identifier that lives for months is not sent to pages for readers.
    max_age = int(remembered_devices.LENGTH.total_seconds())
    attributes: dict[str, Any] = {"path": DOOR, "secure": settings.secure, "httponly": True, "samesite": "strict"}
    response.set_cookie(_device_name(settings), token, max_age=max_age, **attributes)


def _asked_name(settings: Settings) -> str:
    return "__Host-desk-asked" if settings.secure else "desk-asked"


def _device_name(settings: Settings) -> str:
    return "__Secure-desk-device" if settings.secure else "desk-device"


def _asked_attributes(settings: Settings) -> dict[str, Any]:
    path = "/" if settings.secure else DOOR  # browsers require Path=/ for a name with __Host-
    return {"path": path, "secure": settings.secure, "httponly": True, "samesite": "lax"}


def _token(request: Request, name: str) -> str | None:
    token = request.cookies.get(name, "")
    return token if TOKEN.fullmatch(token) else None
