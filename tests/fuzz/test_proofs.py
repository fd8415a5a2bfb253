"""What others prove to us: signed mails and notes, drawn values, mirrors, domains; what the keeper is asked for."""

import asyncio
import contextlib
import email
import hashlib
import json
import re
import time
from email.message import Message
from pathlib import PurePosixPath

from hypothesis import strategies as st

from petition.audits import draw, randomness
from petition.audits.randomness import RandomSource
from petition.core import age_keys, signed_notes
from petition.core.errors import Refused
from petition.core.letter_mailboxes import slug_in
from petition.core.mail_settings import MxResolver
from petition.core.signed_notes import BadNote, NoteSigner
from petition.count_log.cosignatures import Cosigner
from petition.incoming_mail.dkim_verification import DkimVerifier
from petition.keeper import server
from petition.mirrors import manifest
from petition.mirrors.model import BadMirror
from petition.moderation import proof_model
from petition.moderation.filters import UnknownFilter, filter_of
from petition.moderation.model import Filter
from tests.fuzz.running import BYTES, ROUGH, TEXT, fuzz, lines_of
from tests.incoming_mail.letters_by_mail import HOME, RSA_RECORD, signed, write

# Mails with a signature

VERIFIER = DkimVerifier(MxResolver("127.0.0.1", 9))  # is never asked: every key is known below
VERIFIER._keys[f"key1._domainkey.{HOME}"] = RSA_RECORD.encode(), time.monotonic() + 1e9
MAILS = [
    signed(write("Name: Anna; Visibility: public\n", subject="The letter [0123]"), simple=on) for on in (False, True)
]
FIELDS = ("From", "To", "Subject")
PIECES = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b"\r\n ", b"\r\n\r\n", b"\xff", b"l=0; "),
        *(b"From: eve@home.example\r\n", b"To: x@y.example\r\n", b"Subject: other\r\n", b"from : eve@home.example\r\n"),
        *(b"DKIM-Signature: v=1; a=rsa-sha256\r\n", b"Content-Type: text/html\r\n", b"Name: Eve", b"d=", b"i=@"),
    ]
)  # fmt: skip
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), PIECES | st.binary(max_size=6)), max_size=3)


def meaning(content: bytes) -> tuple[object, ...]:
    """Return sender, recipients, subject and words of a mail."""
    message = email.message_from_bytes(content)
    fields = [[" ".join(str(value).split()) for value in message.get_all(name, [])] for name in FIELDS]
    return *fields, words_of(message)


def words_of(message: Message) -> str:
    payload = message.get_payload(decode=True)
    return " ".join(payload.decode("latin-1").split()) if isinstance(payload, bytes) else "?"


@fuzz(st.sampled_from(MAILS), EDITS, examples=200)
def test_what_is_proven_is_what_was_signed(mail: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    content = mail
    for position, length, inserted in edits:
        start = int(position * len(content))
        content = content[:start] + inserted + content[start + length :]
    known = f"key1._domainkey.{HOME}"
    for name in [name for name in VERIFIER._keys if name != known]:
        del VERIFIER._keys[name]
    proof = asyncio.run(asyncio.wait_for(verify(content), 60))
    if proof is None:
        assert content != mail
    else:
        assert meaning(content)[:3] == meaning(mail)[:3]
        assert content.partition(b"\r\n\r\n")[2].split() == mail.partition(b"\r\n\r\n")[2].split()


async def verify(content: bytes) -> object:
    """Verify without a name server: an edited signature may name another key, which is not there."""

    async def away(_name: str) -> bytes | None:
        return None

    VERIFIER._ask = away  # type: ignore[method-assign, assignment]
    return await VERIFIER.verify(content, HOME)


@fuzz(lines_of("sign+", "keep", "-", "@", "in.letters.example", "IN.", "\n", "+", "a" * 64) | ROUGH)
def test_any_recipient_is_a_short_name_or_none(text: str) -> None:
    slug = slug_in(text, "in.letters.example")
    assert slug is None or re.fullmatch(r"[a-z0-9-]{3,64}", slug)


# Signed notes

SIGNER, WITNESS = NoteSigner("letters.example/log/x", b"s" * 32), Cosigner("witness.example", b"w" * 32)
NOTE = SIGNER.sign("letters.example/log/x\n7\nAAAA\n")
NOTE += WITNESS.sign(signed_notes.split(NOTE)[0])
NOTES = lines_of(
    "letters.example/log/x\n", "7\n", "\n\n", "— ", "letters.example/log/x ", "A" * 92, "=", "+", NOTE, "\u2028"
)


@fuzz(NOTES | TEXT, st.integers(0, 200), st.integers(0, 20), st.booleans(), examples=300)
def test_a_note_says_what_was_signed_or_nothing(text: str, start: int, length: int, is_spliced: bool) -> None:
    note = NOTE[:start] + text + NOTE[start + length :] if is_spliced else text
    with contextlib.suppress(BadNote):
        verified = signed_notes.verify(note, SIGNER.key)
        assert verified == signed_notes.split(NOTE)[0]
    with contextlib.suppress(BadNote):
        if WITNESS.key.signed_at(note) is not None:
            assert signed_notes.split(note)[0] == signed_notes.split(NOTE)[0]
    with contextlib.suppress(BadNote):
        assert str(signed_notes.read_key(note)) == note.strip()


# Drawn values

DRAND = lines_of('{"round": ', "1000", "1e3", ', "randomness": "', "ab" * 32, '", "signature": "', "00", '"}', "[" * 50)


@fuzz(DRAND | TEXT, BYTES, st.integers(0, 3), examples=200)
def test_a_value_of_drand_belongs_to_its_round(text: str, signature: bytes, shape: int) -> None:
    fitting = {"round": 1000, "randomness": hashlib.sha256(signature).hexdigest(), "signature": signature.hex()}
    pasted = [text, json.dumps(fitting), json.dumps({**fitting, "round": 1001}), json.dumps(fitting)[:-1] + text][shape]
    try:
        value = randomness.read_value(RandomSource.DRAND, 1000, pasted)
    except Refused:
        assert shape != 1
    else:
        answer = json.loads(pasted)
        assert (answer["round"], value) == (1000, hashlib.sha256(bytes.fromhex(answer["signature"])).hexdigest())


@fuzz(ROUGH)
def test_another_sources_value_is_one_line_that_is_seen(text: str) -> None:
    with contextlib.suppress(Refused):
        value = randomness.read_value(RandomSource.OTHER, None, text)
        assert 1 <= len(value) <= randomness.MAX_VALUE
        assert "\n" not in value
        assert randomness.read_value(RandomSource.OTHER, None, value) == value


@fuzz(st.sets(st.integers(0, 10**6), min_size=1, max_size=60), TEXT, st.integers(1, 80))
def test_a_draw_is_of_the_frame_and_of_no_order(indexes: set[int], value: str, number: int) -> None:
    digest = draw.frame_digest(draw.frame_text("letters.example/log/x", 10**6 + 1, b"r" * 32, sorted(indexes)))
    drawn = draw.sample(digest, value, sorted(indexes), number)
    assert set(drawn) <= indexes
    assert len(set(drawn)) == len(drawn) == min(number, len(indexes))
    assert set(drawn) == set(draw.sample(digest, value, sorted(indexes, reverse=True), number))


# Mirrors, domains, keys, the keeper, the desk's filters

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PATHS = lines_of("en/", "..", "/", "index.html", "manifest.json", "\\", ".", "a" * 101, "\0", "C:", "~")
ENTRIES = st.fixed_dictionaries({"sha256": st.just("ab" * 32) | JSON, "bytes": st.integers(-1, 2**25) | JSON})
MANIFESTS = st.fixed_dictionaries(
    {
        "format": st.just(manifest.FORMAT),
        "letter": TEXT,
        "written_at": st.sampled_from(
            ["2026-11-30T12:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00+23:59", "x"]
        ),
        "count": st.fixed_dictionaries({"counted_at": st.just("2026-11-30T12:00:00Z"), "total": st.integers() | JSON}),
        "state": TEXT,
        "files": st.dictionaries(PATHS, ENTRIES | JSON, max_size=3) | JSON,
    }
)


@fuzz(MANIFESTS | JSON, BYTES, examples=200)
def test_a_manifest_names_nothing_outside(value: object, noise: bytes) -> None:
    for content in (json.dumps(value).encode(), noise):
        with contextlib.suppress(BadMirror):
            for path, entry in manifest.read(content).files.items():
                parts = PurePosixPath(path).parts
                assert not {"..", ".", "/", "~", ""} & set(parts)
                assert "\\" not in path
                assert 0 <= entry.size <= manifest.MAX_FILE
        with contextlib.suppress(BadMirror):
            manifest.key_of(content)


@fuzz(lines_of("https://letters.example/x", "/", ".", "=", " ", "<", "https://letters.example/xy", "\n") | ROUGH)
def test_a_domain_names_the_letter_in_a_word_of_its_own(text: str) -> None:
    address = "https://letters.example/x"
    if proof_model.names_letter(text, [address]):
        assert address in text.lower()
        assert f"{address}y" not in text.lower() or text.lower().count(address) > 1


@fuzz(lines_of("age1", "q" * 58, "AGE-SECRET-KEY-1", " ", "AGE1") | ROUGH)
def test_any_text_is_an_age_key_or_none(text: str) -> None:
    with contextlib.suppress(Refused):
        assert age_keys.recipient_of(text) == text.strip()
    assert "AGE-SECRET-KEY-1" not in age_keys.shown_again(text)


@fuzz(st.fixed_dictionaries({"values": st.dictionaries(st.sampled_from(["sign", "find", "X", ""]), JSON)}) | JSON)
def test_the_keeper_takes_few_short_values(body: object) -> None:
    values = server._values_in(body)
    if values is not None:
        assert sum(map(len, values.values())) <= server.MAX_VALUES
        assert all(len(one) <= server.MAX_VALUE for some in values.values() for one in some)


PARAMETERS = st.sampled_from(
    ["wait", "state", "kind", "lang", "country", "source", "flag", "group", "partner", "q", "x"]
)


@fuzz(
    st.dictionaries(PARAMETERS, lines_of("any", "held", "person", "ru", "fj", "web", "1", "-", "٣") | ROUGH, max_size=5)
)
def test_a_filter_leaves_out_no_condition(params: dict[str, str]) -> None:
    said = {name for name, value in params.items() if value.replace("\0", "").strip()}
    with contextlib.suppress(UnknownFilter):
        assert filter_of(params) != Filter() or not said
