"""hCaptcha over real HTTP: a clear yes passes, a clear no is wrong, whatever else comes is "unreachable"."""

import asyncio
import gzip
import json
import logging
import subprocess
import sys

import pytest

from petition.captcha import Passed, Refusal, Result
from petition.captcha.hcaptcha_service import ANSWER_AGE, AT_ONCE, REMEMBERED, HCaptchaService
from petition.core.captcha_settings import HCaptcha
from petition.core.prices import MAX_PRICE
from tests.captcha.far_side import (
    NO,
    YES,
    Behaviour,
    drips,
    far_side,
    floods,
    hangs_up,
    never,
    raw,
    says,
)

SECRET = "0x5ecre7000000000000000000000000000000000"
TOKEN = "P1_visitor-token.aA0"


OURS = frozenset({"letters.example", "lettersabcdefgh.onion"})


def hosted(url: str, patience: float = 60.0) -> HCaptchaService:
    return HCaptchaService(HCaptcha("site-key", SECRET, url), OURS, patience=patience)


async def ask(behaviour: Behaviour, patience: float = 60.0, token: str = TOKEN) -> Result:
    async with far_side(behaviour) as side:
        return await hosted(side.url, patience).check(token)


async def test_a_clear_yes_passes_and_the_question_holds_no_more_than_it_must() -> None:
    async with far_side(says(YES)) as side:
        gate = hosted(side.url)
        result = await gate.check(TOKEN)
        assert not gate.down
    assert isinstance(result, Passed)
    assert result.price == MAX_PRICE
    assert len(result.nonce) == 16
    assert side.asked == [
        {"secret": [SECRET], "response": [TOKEN], "sitekey": ["site-key"]}
    ]  # above all not the visitor's address
    assert side.paths == ["/siteverify"]


async def test_the_same_token_has_the_same_nonce() -> None:
    first, again, other = (
        await ask(says(YES)),
        await ask(says(YES)),
        await ask(says(YES), token=TOKEN + "x"),
    )
    assert isinstance(first, Passed)
    assert isinstance(again, Passed)
    assert isinstance(other, Passed)
    assert first.nonce == again.nonce != other.nonce


@pytest.mark.parametrize(
    "answer",
    [
        NO,
        {"success": False},
        {"success": False, "error-codes": []},
        {"success": False, "error-codes": ["expired-input-response"], "hostname": None},
        {"success": False, "error-codes": ["something-new"]},
    ],
)
async def test_a_clear_no_is_wrong(answer: object) -> None:
    assert await ask(says(answer)) is Refusal.WRONG


@pytest.mark.parametrize("hostname", ["letters.example", "Letters.Example", "lettersabcdefgh.onion"])
async def test_a_yes_from_a_page_of_ours_passes(hostname: str) -> None:
    assert isinstance(await ask(says(YES | {"hostname": hostname})), Passed)


ELSEWHERE = [
    "evil.example",
    "letters.example.evil.example",
    "evil-letters.example",
    "www.letters.example",
    "letters.example.",
    "letters.example:443",
    "https://letters.example",
    "letters.example,evil.example",
    " letters.example",
    "letters.examplе",  # a Cyrillic letter
    "*",
    "localhost",
    "dummy-key-pass",
]


@pytest.mark.parametrize("hostname", ELSEWHERE)
async def test_a_yes_that_was_made_on_another_host_is_wrong(hostname: str) -> None:
    assert await ask(says(YES | {"hostname": hostname})) is Refusal.WRONG


@pytest.mark.parametrize("hostname", [None, "", "not-provided"])
async def test_a_yes_from_no_host_counts_for_nothing_and_switches_hcaptcha_off_for_no_one(hostname: str | None) -> None:
    async with far_side(says(YES | {"hostname": hostname})) as side:
        gate = hosted(side.url)
        assert await gate.check(TOKEN) is Refusal.UNREACHABLE  # the visitor meets our own challenge
        assert not gate.down
        side.behaviour = says({key: value for key, value in YES.items() if key != "hostname"})
        assert await gate.check(TOKEN) is Refusal.UNREACHABLE


async def test_two_at_once_do_not_take_each_others_host() -> None:
    """The package passes nothing on from question to answer: what goes beside it must not get mixed up."""

    async def by_token(writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
        token = side.asked[-1]["response"][0]
        hostname = "letters.example" if token.startswith("good") else "evil.example"
        await says(YES | {"hostname": hostname})(writer, reader)

    async with far_side(by_token) as side:
        gate = hosted(side.url)
        tokens = [f"{kind}-{number}" for number in range(20) for kind in ("good", "evil")]
        results = await asyncio.gather(*(gate.check(token) for token in tokens))
    assert [isinstance(result, Passed) for result in results] == [token.startswith("good") for token in tokens]


HOSTILE = {
    "a word for yes": says({"success": "true"}),
    "a number for yes": says({"success": 1}),
    "a list for yes": says({"success": [True]}),
    "an object for yes": says({"success": {"success": True}}),
    "null for yes": says({"success": None}),
    "a word for no": says({"success": "false"}),
    "no success": says({"hostname": "letters.example"}),
    "a bare true": says(True),
    "a list": says([YES]),
    "a word": says("success"),
    "null": says(None),
    "a number": says(1),
    "yes with errors": says({"success": True, "error-codes": ["invalid-input-response"]}),
    "errors in a word": says({"success": True, "error-codes": "none"}),
    "errors null": says({"success": True, "error-codes": None}),
    "errors in an object": says({"success": False, "error-codes": {"a": 1}}),
    "errors that are no words": says({"success": False, "error-codes": [1, None]}),
    "hostname a list": says(YES | {"hostname": ["letters.example"]}),
    "hostname a number": says(YES | {"hostname": 5}),
    "our secret is wrong": says({"success": False, "error-codes": ["invalid-input-secret"]}),
    "our keys do not match": says({"success": False, "error-codes": ["sitekey-secret-mismatch", "x"]}),
    "yes in HTML": says(YES, kind="text/html"),
    "yes in text": says(YES, kind="text/plain"),
    "yes as an error": says(YES, status="500 Internal Server Error"),
    "yes, created": says(YES, status="201 Created"),
    "yes, too many questions": says(YES, status="429 Too Many Requests"),
    "a broken gateway": raw("502 Bad Gateway", b"<html><h1>502</h1></html>", "Content-Type: text/html"),
    "a broken gateway says JSON": raw("502 Bad Gateway", b"<html>", "Content-Type: application/json"),
    "nothing": raw("200 OK", b"", "Content-Type: application/json"),
    "no content": raw("204 No Content", b"", "Content-Type: application/json"),
    "half of a yes": raw("200 OK", json.dumps(YES).encode()[:-9], "Content-Type: application/json"),
    "less than promised": raw("200 OK", b'{"success": true}', "Content-Type: application/json", length=900),
    "not UTF-8": raw("200 OK", b'{"success": true, "a": "\xff"}', "Content-Type: application/json"),
    "not JSON": raw("200 OK", b"success=true", "Content-Type: application/json"),
    "two in one": raw("200 OK", b'{"success": true}{"success": true}', "Content-Type: application/json"),
    "deep": raw("200 OK", b"[" * 15000, "Content-Type: application/json"),
    "huge": says(YES | {"padding": "x" * 100_000}),
    "huge once unpacked": raw(
        "200 OK",
        gzip.compress(json.dumps(YES | {"padding": "x" * 10_000_000}).encode()),
        "Content-Type: application/json",
        "Content-Encoding: gzip",
    ),
    "an endless yes": floods,
    "not HTTP": raw("yes", b""),
    "closed": hangs_up,
}


@pytest.mark.parametrize("behaviour", HOSTILE.values(), ids=HOSTILE.keys())
async def test_whatever_is_not_clear_is_unreachable(behaviour: Behaviour) -> None:
    async with far_side(behaviour) as side:
        gate = hosted(side.url)
        assert await gate.check(TOKEN) is Refusal.UNREACHABLE
        assert gate.down


@pytest.mark.parametrize("behaviour", [never, drips])
async def test_slow_is_unreachable(behaviour: Behaviour) -> None:
    assert await ask(behaviour, patience=0.3) is Refusal.UNREACHABLE


async def test_nobody_there_is_unreachable() -> None:
    async with far_side(says(YES)) as side:
        url = side.url
    assert await hosted(url).check(TOKEN) is Refusal.UNREACHABLE


async def test_no_such_host_and_no_such_address_are_unreachable() -> None:
    assert await hosted("http://nowhere.invalid/siteverify").check(TOKEN) is Refusal.UNREACHABLE
    assert await hosted("not an address").check(TOKEN) is Refusal.UNREACHABLE


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_no_redirect_is_followed_and_the_secret_goes_nowhere_else(status: str) -> None:
    async with far_side(says(YES)) as elsewhere:
        assert await ask(raw(status, b"", f"Location: {elsewhere.url}")) is Refusal.UNREACHABLE
    assert elsewhere.paths == []


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", "\0", "\ud800", "ключ", "x" * 16385])
async def test_what_cannot_be_a_token_is_wrong_and_not_asked_about(token: str) -> None:
    async with far_side(says(YES)) as side:
        gate = hosted(side.url)
        assert await gate.check(token) is Refusal.WRONG
        assert not gate.down  # or else anyone could switch hCaptcha off for a minute
    assert side.asked == []


async def test_a_failure_is_remembered_for_a_minute_or_until_it_answers_again() -> None:
    now = 1000.0
    async with far_side(hangs_up) as side:
        gate = HCaptchaService(HCaptcha("site-key", SECRET, side.url), OURS, clock=lambda: now)
        assert not gate.down
        await gate.check(TOKEN)
        assert gate.down
        now += REMEMBERED - 1
        assert gate.down
        now += 2
        assert not gate.down
        await gate.check(TOKEN)
        assert gate.down
        side.behaviour = says(NO)
        await gate.check(TOKEN)
        assert not gate.down


async def test_a_replayed_token_costs_one_conversation_and_keeps_its_answer() -> None:
    now = 1000.0
    async with far_side(says(YES)) as side:
        service = HCaptchaService(HCaptcha("site-key", SECRET, side.url), OURS, clock=lambda: now)
        assert not service.knows(TOKEN)
        first = await service.check(TOKEN)
        side.behaviour = says({"success": False, "error-codes": ["already-seen-response"]})
        assert service.knows(TOKEN)
        again = await service.check(TOKEN)
        assert isinstance(first, Passed)
        assert isinstance(again, Passed)
        assert again.nonce == first.nonce  # used up by the first form
        for _ in range(3):
            assert await service.check(TOKEN + "x") is Refusal.WRONG
        assert len(side.asked) == 2
        now += ANSWER_AGE + 1
        assert await service.check(TOKEN) is Refusal.WRONG
        assert len(side.asked) == 3


async def test_what_was_no_answer_is_asked_about_again() -> None:
    async with far_side(hangs_up) as side:
        service = hosted(side.url)
        assert await service.check(TOKEN) is Refusal.UNREACHABLE
        side.behaviour = says(YES)
        assert isinstance(await service.check(TOKEN), Passed)


async def test_the_answers_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("petition.captcha.hcaptcha_service.MAX_ANSWERS", 2)
    async with far_side(says(NO)) as side:
        service = hosted(side.url)
        for number in range(4):
            await service.check(f"token{number}")
        assert [service.knows(f"token{number}") for number in range(4)] == [False, False, True, True]


async def test_a_stranger_who_takes_all_conversations_does_not_switch_hcaptcha_off() -> None:
    """Waiting for a slot is no failure of hCaptcha's: others would then meet another challenge for a minute."""
    async with far_side(never) as side:
        service = hosted(side.url, patience=60)
        strangers = [asyncio.create_task(service.check(f"token{number}")) for number in range(AT_ONCE)]
        async with asyncio.timeout(60):
            while len(side.asked) < AT_ONCE:
                await asyncio.sleep(0.01)
        service._patience = 0.05
        assert await service.check(TOKEN) is Refusal.UNREACHABLE
        assert not service.down
        for stranger in strangers:
            stranger.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)


async def test_the_secret_and_the_token_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for behaviour in (says(YES), says(NO), hangs_up):
            await ask(behaviour)
    assert SECRET not in caplog.text
    assert TOKEN not in caplog.text


def test_the_package_is_imported_only_by_who_configured_it() -> None:
    code = (
        "import sys, petition.captcha; "
        "from petition.captcha.hcaptcha_service import HCaptchaService; "
        "from petition.core.captcha_settings import HCaptcha; "
        "HCaptchaService(HCaptcha('a', 'b', 'c'), frozenset()); "
        "assert not {'hcaptcha', 'aiohttp'} & set(sys.modules), 'imported too early'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
