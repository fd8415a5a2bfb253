"""Recipes V3 and V7 of the review with hCaptcha's tokens: a replay counts nowhere, and no one has all its time."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from petition.captcha.hcaptcha_service import AT_ONCE
from tests import rows
from tests.captcha.far_side import NO, YES, FarSide, Reader, Writer, far_side, says
from tests.pages import assert_redirect
from tests.running import SLUG, installation
from tests.web.public.test_under_attack import FIND, INBOX, SIGN, TOR, Town

pytestmark = pytest.mark.usefixtures("one_hour", "one_minute")
SOLVED = "solved"  # how the tokens begin that were solved


@dataclass
class Vendor:
    """hCaptcha as it behaves: each solved token passes once. It can be slow for some tokens."""

    side: FarSide | None = None
    seen: set[str] = field(default_factory=set)
    tokens: list[str] = field(default_factory=list)  # asked about, in order
    patience: "asyncio.Semaphore | None" = None  # each answer about a token that was not solved takes one

    async def answer(self, writer: Writer, reader: Reader) -> None:
        assert self.side is not None
        (token,) = self.side.asked[-1]["response"]
        self.tokens.append(token)
        passes = token.startswith(SOLVED) and token not in self.seen
        self.seen.add(token)
        if self.patience is not None and not passes:
            await self.patience.acquire()
        await says(YES | {"hostname": "localhost"} if passes else NO)(writer, reader)


@dataclass
class Guarded:
    """A town with hCaptcha, and its vendor."""

    town: Town
    vendor: Vendor


@pytest.fixture
async def guarded(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Guarded]:
    vendor = Vendor()
    keys = {"CAPTCHA": "hcaptcha", "HCAPTCHA_SITE_KEY": "site-key", "HCAPTCHA_SECRET_KEY": "0x5ecre7"}
    async with far_side(vendor.answer) as vendor.side:
        more = keys | {"HCAPTCHA_VERIFY_URL": vendor.side.url, "ONION_URL": "http://letters7.onion"}
        async with installation(database_url, tmp_path, **more) as site, site.database.connection() as conn:
            yield Guarded(Town(site, await rows.letter(conn)), vendor)


def token(name: str) -> dict[str, str]:
    return {"h-captcha-response": name}


async def shows_hcaptcha(town: Town) -> bool:
    answer = await town.site.client.get(f"/captcha/challenge?letter={SLUG}")
    return bool(json.loads(answer.text).get("kind") == "hcaptcha")


async def test_one_solved_token_replayed_from_many_networks_counts_once_and_costs_one_conversation(
    guarded: Guarded,
) -> None:
    town, vendor = guarded.town, guarded.vendor
    form = town.form() | token("solved-one")
    assert_redirect(await town.post(SIGN, form), INBOX)
    again = await asyncio.gather(*(town.post(SIGN, form) for _ in range(60)))
    assert {answer.status_code for answer in again} == {303}  # the same form: the same answer
    counted = await town.uses()
    assert counted == 5
    for path, other in ((SIGN, town.form()), (FIND, {"email": "ann@letters.example"})):
        for _ in range(20):
            assert (await town.post(path, other | token("solved-one"))).status_code == 422
    assert await town.uses() == counted
    (stored,) = await rows.rows_of(town.site.database, "SELECT count(*) AS rows FROM pending")
    assert stored["rows"] == 1
    assert vendor.tokens == ["solved-one"]
    assert_redirect(await town.post(SIGN, town.form() | token("solved-two")), INBOX)
    assert await shows_hcaptcha(town)


@pytest.mark.parametrize("stranger", [TOR, {"x-forwarded-for": "9.9.9.9"}], ids=["Tor", "one address"])
async def test_a_stranger_with_made_up_tokens_does_not_have_all_of_hcaptchas_time(
    guarded: Guarded, stranger: dict[str, str]
) -> None:
    town, vendor = guarded.town, guarded.vendor
    vendor.patience = asyncio.Semaphore(0)
    made_up = [
        asyncio.create_task(town.post(SIGN, town.form() | token(f"made-up-{number}"), **stranger))
        for number in range(AT_ONCE * 5)
    ]
    async with asyncio.timeout(60):
        while len(vendor.tokens) < AT_ONCE:
            await asyncio.sleep(0.01)
    visit = asyncio.create_task(town.post(SIGN, town.form() | token("solved-honest")))
    await asyncio.sleep(0)
    for _ in range(AT_ONCE * 6):
        vendor.patience.release()
        await asyncio.sleep(0.002)
    assert_redirect(await visit, INBOX)
    assert vendor.tokens.index("solved-honest") < len(vendor.tokens) - AT_ONCE
    assert {answer.status_code for answer in await asyncio.gather(*made_up)} == {422}
