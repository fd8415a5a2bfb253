"""Rate limits in headers, and preflight requests from other sites."""

import asyncio
from pathlib import Path

import pytest

from tests.running import Installation, installation
from tests.web.api.test_endpoints import LETTER, is_problem

MEMORY, DATABASE = "/api/v1/openapi.json", f"{LETTER}/signatories"


async def test_the_limit_is_stated_and_not_what_others_have_left_of_it(site: Installation) -> None:
    elsewhere = site.new_network()
    for path, name, limit in (
        (LETTER, "memory", 600),
        (f"{LETTER}/history", "database", 300),
        (DATABASE, "database", 300),
    ):
        answer = await site.client.get(path, headers=elsewhere)
        assert answer.headers["ratelimit-policy"] == f'"{name}";q={limit};w=60'
        assert "ratelimit" not in answer.headers
        assert "RateLimit" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("path", "name"), [(LETTER, "memory"), (DATABASE, "database"), (f"{LETTER}/history", "database")]
)
@pytest.mark.usefixtures("one_minute")
async def test_too_often_is_a_problem_that_says_when_to_come_again(
    database_url: str, tmp_path: Path, path: str, name: str
) -> None:
    async with installation(database_url, tmp_path, LIMIT_API="2", LIMIT_READING="2") as site:
        here, there = site.new_network(), site.new_network()
        answers = [await site.client.get(path, headers=here) for _ in range(6)]
        refused = answers[-1]
        assert [answer.status_code for answer in answers][:2] == [200, 200]
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["access-control-allow-origin"] == "*"
        assert refused.headers["ratelimit"].startswith(f'"{name}";r=0;t=')
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert refused.headers["cache-control"] == "no-store"
        body = refused.json()
        assert (body["status"], body["violated-policies"]) == (429, [name])
        assert body["type"].endswith("#quota-exceeded")
        assert (await site.client.get(path, headers=there)).status_code == 200


@pytest.mark.usefixtures("one_minute")
async def test_what_is_kept_is_not_counted(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_API="2") as site:
        await site.client.get(LETTER, headers=site.new_network())  # once it is known, nothing moves any more
        async with asyncio.timeout(120):  # the web may be looking at its letters for the first time
            while {429} <= {
                (await site.client.get(MEMORY, headers=here)).status_code for here in [site.new_network()] * 5
            }:
                await asyncio.sleep(0.1)
        here = site.new_network()
        answers = [await site.client.get(MEMORY, headers=here) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize(
    "path",
    [
        LETTER,
        f"{LETTER}/count",
        f"{LETTER}/history",
        DATABASE,
        f"{LETTER}/partners",
        f"{LETTER}/affiliations",
        f"{LETTER}/events",
        MEMORY,
    ],
)
async def test_any_site_may_ask_beforehand(site: Installation, path: str) -> None:
    asks = {"origin": "https://other.example", "access-control-request-method": "GET"}
    asks["access-control-request-headers"] = "if-none-match"
    answer = await site.client.options(path, headers=asks)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "*"
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v2/letters", "/api/v1/letters/", f"{LETTER}/nothing"])
async def test_below_api_everything_is_a_problem(site: Installation, path: str) -> None:
    assert is_problem(await site.client.get(path), 404)
    answer = await site.client.options(path)
    assert is_problem(answer, answer.status_code)


async def test_another_host_is_a_problem_too(site: Installation) -> None:
    assert is_problem(await site.client.get(LETTER, headers={"host": "other.example"}), 421)
    assert is_problem(await site.client.post(LETTER, headers={"sec-fetch-site": "cross-site"}), 403)
