"""The door: which challenge is shown, and which of several answers counts."""

from pathlib import Path

import pytest

from petition.captcha import Captchas, Passed, Refusal
from petition.captcha.drawn import DrawnCodes
from petition.captcha.pow import ProofOfWork
from petition.core.encryption import new_contact_pair
from petition.core.ids import LetterId
from tests.captcha.far_side import NO, far_side, hangs_up, says
from tests.captcha.installation import CHEAP, KEY, LETTER, settings, solve

OURS = {"success": True, "hostname": "localhost"}
CODES = DrawnCodes([KEY])
WORK = ProofOfWork([KEY], price=CHEAP)


@pytest.fixture
def ours(tmp_path: Path) -> Captchas:
    return Captchas(settings(tmp_path))


def with_hcaptcha(folder: Path, url: str) -> Captchas:
    return Captchas(
        settings(
            folder,
            CAPTCHA="hcaptcha",
            HCAPTCHA_SITE_KEY="site-key",
            HCAPTCHA_SECRET_KEY="secret",
            HCAPTCHA_VERIFY_URL=url,
        )
    )


def solved(letter_id: LetterId = LETTER) -> str:
    return solve(WORK.challenge(letter_id))


def drawn(letter_id: LetterId = LETTER) -> dict[str, str]:
    return {"drawn": CODES.token("HEXAM", letter_id, hard=False), "code": "hexam"}


async def test_no_answer_is_missing(ours: Captchas) -> None:
    for form in ({}, {"altcha": "", "code": " ", "drawn": ""}, {"drawn": drawn()["drawn"]}):
        assert await ours.check(form, LETTER) is Refusal.MISSING
        assert ours.drawn_nonce(form) is None


async def test_each_of_our_own_passes(ours: Captchas) -> None:
    assert isinstance(await ours.check({"altcha": solved()}, LETTER), Passed)
    assert isinstance(await ours.check(drawn(), LETTER), Passed)


async def test_one_good_answer_is_enough_and_else_the_last_one_speaks(ours: Captchas) -> None:
    assert isinstance(await ours.check({"altcha": "nonsense"} | drawn(), LETTER), Passed)
    assert isinstance(await ours.check({"altcha": solved()} | drawn() | {"code": "no"}, LETTER), Passed)
    assert await ours.check({"altcha": solved(LetterId(8))}, LETTER) is Refusal.OTHER_LETTER
    assert await ours.check({"altcha": solved(LetterId(8))} | drawn() | {"code": "no"}, LETTER) is Refusal.WRONG


async def test_a_drawn_challenge_is_known_before_it_is_compared(ours: Captchas) -> None:
    form = drawn()
    nonce = ours.drawn_nonce(form)
    assert nonce is not None
    assert ours.drawn_nonce(form | {"code": "wrong"}) == nonce
    assert ours.drawn_nonce(drawn()) != nonce
    assert ours.drawn_nonce(form | {"drawn": form["drawn"][:-3]}) is None
    assert await ours.check(form, LETTER, drawn=False) is Refusal.WRONG
    assert isinstance(await ours.check(form | {"altcha": solved()}, LETTER, drawn=False), Passed)
    result = await ours.check(form, LETTER)
    assert isinstance(result, Passed)
    assert result.nonce == nonce


async def test_hcaptcha_is_not_looked_at_unless_configured(ours: Captchas) -> None:
    assert await ours.check({"h-captcha-response": "token"}, LETTER) is Refusal.MISSING
    assert ours.hcaptcha_site_key is None
    assert ours.sources == {}


async def test_our_challenge_is_shown_and_passes(ours: Captchas) -> None:
    for hard in (False, True):
        challenge = ours.challenge(LETTER, price=int(hard))
        assert challenge["parameters"]["data"] == {"letter": LETTER, "dear": hard, "price": int(hard)}
        assert ours.draw(LETTER, hard=hard).png.startswith(b"\x89PNG")


async def test_hcaptcha_is_shown_and_asked(tmp_path: Path) -> None:
    async with far_side(says(OURS)) as side:
        captchas = with_hcaptcha(tmp_path, side.url)
        assert captchas.challenge(LETTER, price=1) == {"kind": "hcaptcha", "site_key": "site-key"}
        assert captchas.hcaptcha_site_key == "site-key"
        assert set(captchas.sources) == {"script-src", "frame-src", "style-src", "connect-src"}
        assert isinstance(await captchas.check({"h-captcha-response": "token"}, LETTER), Passed)
        side.behaviour = says(NO)
        assert await captchas.check({"h-captcha-response": "another"}, LETTER) is Refusal.WRONG
        assert captchas.asks_hcaptcha({"h-captcha-response": "a-third"})
        assert not captchas.asks_hcaptcha({"h-captcha-response": "token"})
        assert not captchas.asks_hcaptcha({"h-captcha-response": "no token"})
        assert not captchas.asks_hcaptcha({"altcha": "x"})


async def test_a_yes_counts_for_the_public_address_and_the_onion_address(tmp_path: Path) -> None:
    onion = "lettersabcdefgh.onion"
    keys = {"CAPTCHA": "hcaptcha", "HCAPTCHA_SITE_KEY": "site-key", "HCAPTCHA_SECRET_KEY": "secret"}
    addresses = {"BASE_URL": "https://letters.example:8443", "ONION_URL": f"http://{onion}", "CONTROLLER": "A society"}
    addresses["CONTACT_PUBLIC_KEY"] = new_contact_pair()[0]
    async with far_side(says(OURS)) as side:
        captchas = Captchas(settings(tmp_path, **keys, **addresses, HCAPTCHA_VERIFY_URL=side.url))
        for hostname, passes in (("letters.example", True), (onion, True), ("localhost", False)):
            side.behaviour = says({"success": True, "hostname": hostname})
            result = await captchas.check({"h-captcha-response": f"token-for-{hostname}"}, LETTER)
            assert isinstance(result, Passed) is passes


async def test_ours_takes_over_when_hcaptcha_fails(tmp_path: Path) -> None:
    async with far_side(hangs_up) as side:
        captchas = with_hcaptcha(tmp_path, side.url)
        assert await captchas.check({"h-captcha-response": "token"}, LETTER) is Refusal.UNREACHABLE
        assert captchas.hcaptcha_site_key is None
        assert captchas.sources == {}
        assert "parameters" in captchas.challenge(LETTER)
        assert isinstance(await captchas.check({"altcha": solved()}, LETTER), Passed)
        both = {"h-captcha-response": "token"} | drawn()
        assert isinstance(await captchas.check(both, LETTER), Passed)


async def test_our_answer_spares_the_question(tmp_path: Path) -> None:
    async with far_side(says(NO)) as side:
        captchas = with_hcaptcha(tmp_path, side.url)
        form = {"altcha": solved(), "h-captcha-response": "token"}
        assert isinstance(await captchas.check(form, LETTER), Passed)
    assert side.asked == []


async def test_switched_off_everything_passes_each_time_as_another(tmp_path: Path) -> None:
    captchas = Captchas(settings(tmp_path, CAPTCHA="off"))
    assert captchas.challenge(LETTER) == {"kind": "off"}
    results = [await captchas.check({}, LETTER) for _ in range(2)]
    nonces = {each.nonce for each in results if isinstance(each, Passed)}
    assert len(nonces) == 2
    assert {len(each) for each in nonces} == {16}
