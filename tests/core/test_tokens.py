"""Tokens of mailed links and the six-digit code."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.errors import BadToken
from petition.core.ids import AddresseeId, LetterId, MessageId, QuestionId, SignatureId
from petition.core.tokens import Tokens

OLD, NEW, OTHER = ("old " * 10, "new " * 10, "other " * 10)
LETTERS = st.integers(min_value=1, max_value=2**31 - 1).map(LetterId)
SIGNATURES = st.integers(min_value=0, max_value=2**63 - 1).map(SignatureId)
TOKENS = Tokens([NEW])


@given(LETTERS, SIGNATURES)
def test_a_token_holds_the_letter_and_the_signature(letter_id: LetterId, signature_id: SignatureId) -> None:
    token = TOKENS.for_signature(letter_id, signature_id)
    assert TOKENS.read_signature(token) == (letter_id, signature_id)
    assert re.fullmatch(r"[\w.-]{20,100}", token)  # stays whole in any mail program


@given(st.binary(max_size=40))
def test_a_never_token_holds_the_digest(digest: bytes) -> None:
    assert TOKENS.read_never(TOKENS.for_never(digest)) == digest


@given(LETTERS, SIGNATURES, st.data())
def test_no_changed_token_is_accepted(letter_id: LetterId, signature_id: SignatureId, data: st.DataObject) -> None:
    token = TOKENS.for_signature(letter_id, signature_id)
    place = data.draw(st.integers(0, len(token) - 1))
    changed = token[:place] + data.draw(st.characters(codec="utf-8")) + token[place + 1 :]
    try:
        # The last characters of base64 have spare bits; whatever is accepted still says the same.
        assert TOKENS.read_signature(changed) == (letter_id, signature_id)
    except BadToken:
        return


@given(st.text(max_size=200))
def test_nothing_made_up_is_accepted(text: str) -> None:
    for read in (TOKENS.read_signature, TOKENS.read_never):
        with pytest.raises(BadToken):
            read(text)


def test_a_token_cut_off_in_the_mail_is_refused() -> None:
    token = TOKENS.for_signature(LetterId(3), SignatureId(4))
    for length in range(len(token)):
        with pytest.raises(BadToken):
            TOKENS.read_signature(token[:length])


MADE = {
    "signature": TOKENS.for_signature(LetterId(1), SignatureId(2)),
    "second": TOKENS.for_second(LetterId(1), SignatureId(2)),
    "updates": TOKENS.for_updates(LetterId(1), SignatureId(2)),
    "reply": TOKENS.for_reply(LetterId(1), MessageId(2)),
    "preview": TOKENS.for_preview(LetterId(1), 2),
    "answer": TOKENS.for_answer(LetterId(1), AddresseeId(2), 3, mailed=True),
    "audit": TOKENS.for_audit(LetterId(1), QuestionId(2)),
    "package": TOKENS.for_package(LetterId(1)),
    "again": TOKENS.for_again(LetterId(1), bytes(16), 1_900_000_000, 0, drawn=False),
    "never": TOKENS.for_never(b"twelve bytes"),
}


def test_every_kind_of_token_is_tried() -> None:
    assert {f"for_{kind}" for kind in MADE} == {name for name in dir(Tokens) if name.startswith("for_")}


@pytest.mark.parametrize("reader", MADE)
@pytest.mark.parametrize("kind", MADE)
def test_a_token_is_read_for_its_own_purpose_alone(kind: str, reader: str) -> None:
    read = getattr(TOKENS, f"read_{reader}")
    if kind == reader:
        read(MADE[kind])
    else:
        with pytest.raises(BadToken):
            read(MADE[kind])


def test_old_secrets_are_read_and_the_newest_is_written_with() -> None:
    before, now, without = Tokens([OLD]), Tokens([NEW, OLD]), Tokens([NEW])
    mailed = before.for_signature(LetterId(5), SignatureId(6))
    assert now.read_signature(mailed) == (5, 6)
    assert without.read_signature(now.for_signature(LetterId(5), SignatureId(6))) == (5, 6)
    with pytest.raises(BadToken):
        without.read_signature(mailed)
    assert now.is_code(before.code(LetterId(5), SignatureId(6)), LetterId(5), SignatureId(6))
    assert now.code(LetterId(5), SignatureId(6)) == without.code(LetterId(5), SignatureId(6))


@given(LETTERS, SIGNATURES)
def test_the_code_is_six_digits_of_its_own(letter_id: LetterId, signature_id: SignatureId) -> None:
    code = TOKENS.code(letter_id, signature_id)
    assert re.fullmatch(r"[0-9]{6}", code)
    assert TOKENS.is_code(code, letter_id, signature_id)
    assert not TOKENS.is_code(code[:-1], letter_id, signature_id)
    assert not TOKENS.is_code(f"{code} ", letter_id, signature_id)


@given(st.text(max_size=20))
def test_any_typed_code_can_be_compared(typed: str) -> None:
    assert TOKENS.is_code(typed, LetterId(1), SignatureId(2)) is (typed == TOKENS.code(LetterId(1), SignatureId(2)))


def test_codes_differ_by_row_letter_and_secret() -> None:
    assert len({TOKENS.code(LetterId(1), SignatureId(n)) for n in range(200)}) > 190
    assert len({TOKENS.code(LetterId(n), SignatureId(1)) for n in range(200)}) > 190
    assert len({Tokens([str(n) * 40]).code(LetterId(1), SignatureId(1)) for n in range(200)}) > 190
