"""The number of a request: on the page of a 500 or 503, in its header, and in each line of the log about it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from petition.core import log_summaries, request_ids
from petition.core.errors import Unavailable
from tests.mail.conftest import logged
from tests.running import SLUG, Installation, installation

__all__ = ["logged"]
NUMBER = re.compile(r"<code>([\w-]+)</code>")


def lines_with(logged: str, message: str) -> list[dict[str, object]]:
    return [line for line in map(json.loads, logged.splitlines()) if line["message"] == message]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [(RuntimeError("x"), 500, "request failed"), (Unavailable(), 503, "request not answered")],
)
async def test_the_page_shows_the_number_that_the_log_has(
    site: Installation,
    monkeypatch: pytest.MonkeyPatch,
    logged: Callable[[], str],
    error: Exception,
    status: int,
    message: str,
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr("petition.core.database.Database.connection", fail)
    numbers = set()
    for lang, words in (("en", "name this number"), ("ru", "назовите"), ("en", "name this number")):
        answer = await site.client.get(f"/{lang}/{SLUG}/signatories?after=1-1&q=z")
        assert answer.status_code == status, answer.text
        assert words in answer.text
        (number,) = NUMBER.findall(answer.text)
        assert answer.headers["x-request-id"] == number
        line = lines_with(logged(), message)[-1]
        assert (line["request"], line["route"], line["status"]) == (number, "/{lang}/{slug}/signatories", status)
        numbers.add(number)
    assert len(numbers) == 3
    problem = await site.client.get(f"/api/v1/letters/{SLUG}/signatories?q=z")
    assert problem.json()["request"] == problem.headers["x-request-id"] not in numbers


async def test_a_page_that_is_well_has_none(site: Installation) -> None:
    for path in ("/en/", "/en/nothing-here", f"/en/{SLUG}/signatories"):
        answer = await site.client.get(path)
        assert "x-request-id" not in answer.headers
        assert "name this number" not in answer.text


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"x-request-id": "b7ad6b71-1698-4a6e-9d7a"}, "b7ad6b71-1698-4a6e-9d7a"),
        ({"traceparent": TRACE}, "4bf92f3577b34da6a3ce929d0e0e4736"),
        ({"traceparent": TRACE, "x-request-id": "of-the-proxy"}, "of-the-proxy"),
        ({"x-request-id": "short"}, None),
        ({"x-request-id": "vera@letters.example"}, None),
        ({"x-request-id": "a" * 65}, None),
        ({"x-request-id": '"}{"level": "x'}, None),
        ({"traceparent": TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)}, None),
        ({"traceparent": "00-zz-11-01"}, None),
        ({}, None),
    ],
)
def test_what_a_proxy_may_name_a_request(headers: dict[str, str], name: str | None) -> None:
    assert request_ids.of_proxy((key.encode(), value.encode()) for key, value in headers.items()) == name


@pytest.mark.parametrize(("proxies", "is_taken"), [("127.0.0.0/8", True), ("10.0.0.0/8", False), ("", False)])
async def test_only_a_trusted_proxy_names_requests(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    with_letter: None,
    proxies: str,
    is_taken: bool,
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError

    async with installation(database_url, tmp_path, TRUSTED_PROXIES=proxies) as site:
        monkeypatch.setattr("petition.core.database.Database.connection", fail)
        answer = await site.client.get(f"/en/{SLUG}/signatories?q=z", headers={"x-request-id": "one-of-a-visitor"})
        assert answer.status_code == 500
        assert (answer.headers["x-request-id"] == "one-of-a-visitor") is is_taken


def test_a_flood_of_refusals_writes_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_summaries, "clock", iter([5.0] * 1000 + [6.5]).__next__)
    budget = log_summaries.LineBudget(20)
    assert sum(budget.take() for _ in range(1000)) == 20
    assert budget.take()
