"""Why somebody should look: rules of one signature, of an hour's, and of readers."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from petition.core.client_networks import ONION
from petition.core.encryption import Wrapper
from petition.core.ids import SignatureId
from petition.core.quotas import DayKeys
from petition.moderation import bursts
from petition.moderation.bursts import BURST, REPEATED, likeness, repeated_names
from petition.moderation.labels import WORDS
from petition.moderation.model import Action
from petition.signatures.confirming import Confirming, ConfirmRequest
from petition.signatures.flags import Flag, flags_of, is_obscene
from petition.signatures.model import Kind
from tests import rows
from tests.moderation.desk import WRAPPER, Bench
from tests.running import KEY

FLAGS = "SELECT name, flags, group_number, network FROM signature WHERE letter = $1 ORDER BY name"
NETWORK = "UPDATE {table} SET network = $3, {time} = $4 WHERE letter = $1 AND id = $2"


@pytest.mark.parametrize(
    "name",
    [
        *("Fu\u0441k You", "f u c k", "F.U.C.K. Off", "fuuuck", "sh1t", "$hit happens", "Sh\u0456t"),
        *("xyй", "XYЙ", "Х у й", "х.у.й.", "п1зда", "Пи3да", "пиииздец", "cyka", "6лядь", "ХУУЙ", "Nuзда"),
    ],
)
def test_abuse_in_a_common_disguise(name: str) -> None:
    assert is_obscene(name)


@pytest.mark.parametrize("name", ["Fuck You", "Иван Хуйло", "СУКА", "f.u.c.k fucker", "ёбаный стыд".replace("ё", "е")])
def test_abuse(name: str) -> None:
    assert is_obscene(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Vladimir Shitov", "Scunthorpe United", "Пётр Сукачёв", "Dick Cheney", "Херсон", "Бляхин", "Анна Мудрая"),
        *("А. С. Пушкин", "J. R. R. Tolkien", "С. У. К. Абрамов", "1984", "Союз 17", "III Международная", "Hans Herr"),
        *("Аарон Коэн", "Xenia Hope", "Анна Пирогова", "O. K. Corral", "Cynthia Pope", "Ксения Хурма", "Ann Hoover"),
    ],
)
def test_names_that_only_look_like_it(name: str) -> None:
    assert not is_obscene(name)


@pytest.mark.parametrize(
    ("signals", "website", "flags"),
    [
        (None, None, []),
        (None, "https://x.example", ["other_domain"]),
        ({"own_domain": True}, "https://x.example", []),
        ({"throwaway": True, "link": True}, None, ["link", "throwaway"]),
        ({"mixed_scripts": True, "burst": 7}, None, ["burst", "disguised"]),
    ],
)
def test_signals_become_flags(signals: dict[str, object] | None, website: str | None, flags: list[str]) -> None:
    assert sorted(flags_of(Kind.ORGANIZATION, ["North Pier"], signals, website)) == sorted(flags)


async def test_flags_are_written_while_confirming_for_hidden_names_too(bench: Bench) -> None:
    await bench.sign("Fuck You", visibility="organizers")
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    assert sorted(row["flags"] for row in await bench.rows(FLAGS)) == [["obscene"], ["other_domain"]]
    await bench.decide(Action.APPROVE, held)
    assert ["other_domain"] not in [row["flags"] for row in await bench.rows(FLAGS)]


async def from_network(
    bench: Bench, ids: list[SignatureId], network: bytes, hours: float = 1, table: str = "signature"
) -> None:
    over = datetime.now(UTC).replace(minute=30) - timedelta(hours=hours)
    time = "signed_at" if table == "signature" else "created_at"
    async with bench.database.connection() as conn:
        for signature_id in ids:
            await conn.execute(NETWORK.format(table=table, time=time), bench.letter.id, signature_id, network, over)


async def test_a_burst_becomes_a_flag_and_a_group_and_networks_are_forgotten(bench: Bench) -> None:
    many = await bench.sign(*(f"Name{chr(97 + n)}" for n in range(BURST - 1)))
    few = await bench.sign("Vera", "Olga")
    late = await bench.sign("Late")
    async with bench.database.transaction() as conn:
        waiting = await rows.add_pending(conn, bench.letter, ["slow@letters.example"], name="Slow")
    busy, calm = secrets.token_bytes(16), secrets.token_bytes(16)
    await from_network(bench, many, busy)
    await from_network(bench, few, calm)
    await from_network(bench, late, busy, hours=-1)
    await from_network(bench, waiting, busy, table="pending")
    assert await bursts.delete_networks(bench.database, WRAPPER) == BURST + 1
    by_name = {row["name"]: row for row in await bench.rows(FLAGS)}
    groups = {by_name[f"Name{chr(97 + n)}"]["group_number"] for n in range(BURST - 1)}
    assert len(groups) == 1
    assert None not in groups
    assert by_name["Namea"]["flags"] == ["burst"]
    assert (by_name["Vera"]["flags"], by_name["Vera"]["group_number"], by_name["Vera"]["network"]) == ([], None, None)
    assert by_name["Late"]["network"] == busy  # its hour is not over
    assert await bursts.delete_networks(bench.database, WRAPPER) == 0
    # Whoever confirms later still belongs to the burst.
    (row,) = await bench.rows("SELECT network, signals FROM pending WHERE letter = $1")
    assert (row["network"], {row["signals"]["burst"]}) == (None, groups)
    await Confirming(bench.database).submit(ConfirmRequest(bench.letter.id, waiting[0], bench.letter.keys))
    slow = {row["name"]: row for row in await bench.rows(FLAGS)}["Slow"]
    assert (slow["flags"], {slow["group_number"]}) == (["burst"], groups)


async def test_tor_is_no_network(bench: Bench) -> None:
    ids = await bench.sign(*(f"Name{chr(97 + n)}" for n in range(BURST)))
    wrapper = Wrapper([KEY])
    day = await DayKeys(bench.database, wrapper).today()
    hour = (datetime.now(UTC) - timedelta(hours=1)).hour
    await from_network(bench, ids, day.digest(f"network|{hour:02}|{ONION}"))
    assert await bursts.delete_networks(bench.database, wrapper) == BURST
    assert {tuple(row["flags"]) for row in await bench.rows(FLAGS)} == {()}


async def test_one_name_again_and_again(bench: Bench) -> None:
    same = await bench.sign("Иван Петров", "Петров Иван", "Иван Петров 2", "Иваан Петров", "ИВАН ПЕТРОВ")
    other = await bench.sign("Vera Novak")
    assert len(same) == REPEATED
    for number, each in enumerate([*same, *other]):
        await from_network(bench, [each], bytes([number] * 16))
    await bursts.delete_networks(bench.database, WRAPPER)
    flags = {row["name"]: row["flags"] for row in await bench.rows(FLAGS)}
    assert flags.pop("Vera Novak") == []
    assert set(map(tuple, flags.values())) == {("repeated",)}


def test_a_common_name_in_a_crowd_is_no_repetition() -> None:
    hour = datetime(2026, 11, 1, 12, tzinfo=UTC)
    crowd: list[tuple[datetime, str | None]] = [
        (hour, f"name {chr(97 + n % 26)}{chr(97 + n // 26)}") for n in range(600)
    ]
    assert repeated_names([*crowd, *[(hour, "иван петров")] * 6]) == frozenset()
    assert repeated_names([*crowd[:20], *[(hour, "иван петров")] * 6]) == {(hour, "иван петров")}
    assert likeness("1984") == "1984"


def test_every_flag_has_a_word() -> None:
    assert set(WORDS["flags"]) == set(Flag)
