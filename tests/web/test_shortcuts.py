"""Signing and confirming go past the framework's layers; what goes wrong is answered as everywhere."""

import logging

import pytest

from petition.core.errors import Gone, NotFound, TooMany, Unavailable
from petition.web.error_pages import TEXTS
from tests.running import SLUG, Installation

SIGN = f"/en/{SLUG}/sign"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("none"), 404),
        (Gone("gone"), 410),
        (TooMany("many", retry_after=7), 429),
        (Unavailable("away", retry_after=7), 503),
        (ZeroDivisionError("a bug"), 500),
    ],
)
async def test_what_an_endpoint_raises_has_its_page(
    shared_site: Installation, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("petition.signatures.forms.read", fail)
    logging.getLogger("uvicorn.error").disabled = True  # the server's own line about a bug
    try:
        response = await shared_site.sign()
    finally:
        logging.getLogger("uvicorn.error").disabled = False
    assert response.status_code == status
    if status != 410:  # which says what is gone
        assert TEXTS[status][0] in response.text
    assert response.headers.get("retry-after") == ("7" if status in {429, 503} else None)
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_other_methods_and_addresses_go_to_the_framework(shared_site: Installation) -> None:
    assert (await shared_site.client.put(SIGN)).status_code == 405
    assert (await shared_site.client.post(f"/xx/{SLUG}/sign", data={})).status_code == 404
    assert (await shared_site.client.post("/organizer/letters/sign", data={})).status_code in {303, 403, 404}
    assert (await shared_site.client.get(SIGN)).status_code in {303, 307}
