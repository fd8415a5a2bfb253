"""Proof of work: who solved it passes, once per challenge, for one letter, for twenty minutes."""

import base64
import hmac
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.captcha import Passed, Refusal
from petition.captcha.pow import LIFETIME, MAX_PAYLOAD, STANDARD, ProofOfWork
from petition.core.encryption import derive
from petition.core.ids import LetterId
from petition.core.prices import MAX_PRICE
from tests.captcha.installation import CHEAP, KEY, LETTER, OTHER_KEY, changed, solve

WORK = ProofOfWork([KEY], price=CHEAP)
# A whole run may take longer than a challenge is good for.
SOLVED = solve(ProofOfWork([KEY], price=CHEAP, lifetime=timedelta(days=1)).challenge(LETTER))


def passed(work: ProofOfWork, payload: str, letter_id: LetterId = LETTER) -> Passed:
    result = work.check(payload, letter_id)
    assert isinstance(result, Passed)
    return result


@pytest.mark.parametrize("hard", [False, True])
def test_a_solved_challenge_passes_and_tells_its_price(hard: bool) -> None:
    result = passed(WORK, solve(WORK.challenge(LETTER, price=int(hard))))
    assert result.price == int(hard)
    assert len(result.nonce) == 16
    left = result.expires_at - datetime.now(UTC)
    assert timedelta(0) < left <= LIFETIME


def test_the_same_challenge_has_the_same_nonce_however_it_is_written() -> None:
    # The solution holds a time that means nothing, and JSON may be written with other spaces: a replay all the same.
    again = changed(SOLVED, "solution.time", 12345)
    assert again != SOLVED
    assert passed(WORK, again).nonce == passed(WORK, SOLVED).nonce


def test_no_two_challenges_share_anything() -> None:
    challenges = [WORK.challenge(LETTER) for _ in range(200)]
    for name in ("nonce", "salt", "keyPrefix", "keySignature"):
        assert len({each["parameters"][name] for each in challenges}) == len(challenges)
    assert len({passed(WORK, solve(each)).nonce for each in challenges}) == len(challenges)


def test_another_letter_is_refused() -> None:
    assert WORK.check(SOLVED, LetterId(LETTER + 1)) is Refusal.OTHER_LETTER


def test_an_old_challenge_is_refused() -> None:
    old = ProofOfWork([KEY], price=CHEAP, lifetime=timedelta(seconds=-2))
    assert WORK.check(solve(old.challenge(LETTER)), LETTER) is Refusal.EXPIRED


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("challenge.parameters.data", {"letter": LETTER, "dear": True}),
        ("challenge.parameters.data", None),
        ("challenge.parameters.expiresAt", 4102444800),
        ("challenge.parameters.expiresAt", None),
        ("challenge.parameters.expiresAt", "never"),
        ("challenge.parameters.keySignature", None),
        ("challenge.parameters.keyPrefix", ""),
        ("challenge.parameters.cost", 1),
        ("challenge.signature", "0" * 64),
        ("challenge.signature", None),
        ("challenge.signature", ["0"]),
        ("solution.derivedKey", "0" * 64),
        ("solution.derivedKey", None),
        ("solution.derivedKey", "\ud800"),
    ],
)
def test_a_changed_answer_is_wrong(place: str, value: object) -> None:
    assert WORK.check(changed(SOLVED, place, value), LETTER) is Refusal.WRONG


def test_an_answer_is_not_taken_from_the_challenge() -> None:
    challenge = WORK.challenge(LETTER)
    guess = {"counter": 0, "derivedKey": challenge["parameters"]["keyPrefix"].ljust(64, "0")}
    payload = json.dumps({"challenge": challenge, "solution": guess})
    assert WORK.check(base64.b64encode(payload.encode()).decode(), LETTER) is Refusal.WRONG


def test_other_secrets_are_not_accepted_older_ones_are() -> None:
    assert ProofOfWork([OTHER_KEY], price=CHEAP).check(SOLVED, LETTER) is Refusal.WRONG
    rotated = ProofOfWork([OTHER_KEY, KEY], price=CHEAP)
    assert passed(rotated, SOLVED) == passed(WORK, SOLVED)
    fresh = solve(rotated.challenge(LETTER))
    passed(ProofOfWork([OTHER_KEY], price=CHEAP), fresh)
    assert WORK.check(fresh, LETTER) is Refusal.WRONG


def test_another_process_accepts_it() -> None:
    code = (
        "import json, sys; from petition.captcha.pow import ProofOfWork; "
        "from tests.captcha.installation import CHEAP, KEY, LETTER; "
        "print(json.dumps(ProofOfWork([KEY], price=CHEAP).challenge(LETTER, price=1)))"
    )
    made = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)
    assert passed(WORK, solve(json.loads(made.stdout))).price == 1


def test_the_standard_price() -> None:
    parameters = ProofOfWork([KEY]).challenge(LETTER)["parameters"]
    assert parameters["algorithm"] == "PBKDF2/SHA-256"
    assert parameters["cost"] == 5000
    assert parameters["data"] == {"letter": LETTER, "dear": False, "price": 0}
    middle = sum(STANDARD.numbers) / len(STANDARD.numbers)
    factors = [sum(numbers) / len(numbers) / middle for numbers in STANDARD.hard_numbers]
    assert factors == [4, 8, 16]
    assert len(STANDARD.hard_numbers) == MAX_PRICE


def test_a_challenge_of_an_older_version_keeps_its_price() -> None:
    for is_dear in (False, True):
        challenge = WORK.challenge(LETTER, price=int(is_dear))
        data = challenge["parameters"]["data"]
        assert data.pop("price") == int(is_dear)
        signed = json.dumps(challenge["parameters"], sort_keys=True, separators=(",", ":"))
        challenge["signature"] = hmac.digest(derive(KEY, "pow"), signed.encode(), "sha256").hex()
        assert passed(WORK, solve(challenge)).price == int(is_dear)


def test_an_honest_answer_is_far_below_the_limit() -> None:
    challenge = ProofOfWork([KEY]).challenge(LetterId(2**31 - 1), price=1)
    solution = {"counter": 4000, "derivedKey": "f" * 64}
    payload = base64.b64encode(json.dumps({"challenge": challenge, "solution": solution}).encode())
    assert len(payload) * 3 < MAX_PAYLOAD


def test_too_long_an_answer_is_not_even_parsed() -> None:
    padded = changed(SOLVED, "solution.padding", " " * MAX_PAYLOAD)
    assert WORK.check(padded, LETTER) is Refusal.WRONG


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PLACES = st.sampled_from(
    [
        "challenge",
        "challenge.parameters",
        "challenge.signature",
        "solution",
        "solution.counter",
        "solution.derivedKey",
        *(f"challenge.parameters.{name}" for name in WORK.challenge(LETTER)["parameters"]),
    ]
)


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()) | JSON.map(encoded))
def test_anything_typed_is_wrong_and_never_an_error(text: str) -> None:
    assert WORK.check(text, LETTER) is Refusal.WRONG


@given(PLACES, JSON)
def test_any_value_anywhere_is_refused_and_never_an_error(place: str, value: Any) -> None:
    result = WORK.check(changed(SOLVED, place, value), LETTER)
    if place == "solution.counter":  # it is the key that proves the work
        assert isinstance(result, Passed)
    else:
        assert result in {Refusal.WRONG, Refusal.EXPIRED}


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_wrong(opening: str) -> None:
    text = opening * (3000 // len(opening))
    assert WORK.check(base64.b64encode(text.encode()).decode(), LETTER) is Refusal.WRONG
