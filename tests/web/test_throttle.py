"""A flood takes its share and no more: what one network may ask in a minute, and how many read the list at once."""

import contextlib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from petition.core.client_networks import ONION_NETWORK, ClientNetwork, of_circuit, of_client
from petition.core.errors import TooMany
from petition.web import gateway, throttle, turns
from petition.web.throttle import MinuteLimit
from petition.web.turns import ConcurrencyLimit, RenderQueue
from tests.running import SLUG, installation
from tests.web.api.test_endpoints import is_problem

LIST, API = f"/en/{SLUG}/signatories", f"/api/v1/letters/{SLUG}/signatories"


def at(address: str) -> ClientNetwork:
    """Return the network of the client at ``address``."""
    return of_client(address, (), ())


HERE = at("127.0.0.1")


def test_a_network_has_its_minute(one_minute: list[float]) -> None:
    counted = MinuteLimit(3)
    one_minute[0] += 20
    for _ in range(3):
        counted.take(at("192.0.2.1"))
    with pytest.raises(TooMany) as refused:
        counted.take(at("192.0.2.1"))
    assert refused.value.retry_after == 40
    counted.take(at("192.0.2.2"))
    one_minute[0] += 40
    counted.take(at("192.0.2.1"))


def test_the_onion_service_as_a_whole_is_not_refused_and_a_circuit_is(one_minute: list[float]) -> None:
    counted = MinuteLimit(2)
    for _ in range(100):
        counted.take(ONION_NETWORK)
    for _ in range(2):
        counted.take(of_circuit("0:1"))
    with pytest.raises(TooMany):
        counted.take(of_circuit("0:1"))
    counted.take(of_circuit("0:2"))
    counted.take(ONION_NETWORK)
    assert one_minute == [600.0]


@pytest.mark.parametrize(
    ("flood", "refused"),
    [
        ([f"2a00:{n:x}:{n % 7:x}:100::1" for n in range(20_700)], False),  # each from another /48
        ([f"2a00:1450:7:{n:x}::1" for n in range(20_700)], True),  # one /48
        ([f"8.{n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(20_700)], True),  # 81 whole /24s
        ([f"{20 + n // 65536}.{n // 256 % 256}.{n % 256}.8" for n in range(20_700)], False),
    ],
    ids=["many lines", "one 48", "full 24s", "many addresses"],
)
def test_a_flood_from_many_networks_refuses_nobody_else(
    one_minute: list[float], flood: list[str], refused: bool
) -> None:
    counted = MinuteLimit(1, max_prefixes=1000)
    admitted = 0
    for address in flood:
        with contextlib.suppress(TooMany):
            counted.take(at(address))
            admitted += 1
    assert (admitted < len(flood) / 10) is refused
    assert len(counted._counts) <= 1000
    for honest in ("93.184.216.34", "9.9.9.9", "2606:4700:1:2::3", "127.0.0.1"):
        counted.take(at(honest))
    assert one_minute == [600.0]


def test_one_address_does_not_use_up_the_limit_of_its_neighbours(one_minute: list[float]) -> None:
    counted = MinuteLimit(3)
    for _ in range(1000):
        with contextlib.suppress(TooMany):
            counted.take(at("8.8.8.8"))
    for _ in range(3):
        counted.take(at("8.8.8.9"))
    assert one_minute == [600.0]


def admitted_of(counted: MinuteLimit, network: ClientNetwork) -> int:
    """Send until a refusal; return how many requests were let through."""
    for number in range(1000):
        try:
            counted.take(network)
        except TooMany:
            return number
    raise AssertionError("never refused")


def test_a_refusal_does_not_tell_how_many_forms_others_of_the_network_have_sent(one_minute: list[float]) -> None:
    """The attacker of the review's V2 with empty forms: fill the minute, and see how many fewer are let through."""
    counted = MinuteLimit(600)
    offices = [at(f"93.{n // 100}.{n % 100}.34") for n in range(400)]
    alone = [admitted_of(counted, office) for office in offices]
    assert 600 <= min(alone) <= max(alone) <= 675  # never less than what is stated
    assert len(set(alone)) > 60  # drawn for each network,
    one_minute[0] += 60
    again = [admitted_of(counted, office) for office in offices]
    assert sum(now == before for now, before in zip(again, alone, strict=True)) < 30  # and for each minute
    one_minute[0] += 60
    for office in offices:
        counted.take(office)  # a colleague
    beside = [admitted_of(counted, office) for office in offices]
    # The best rule there is, "fewer than stated", is right about once in 76 networks.
    assert sum(number < 600 for number in beside) < 30


def test_in_one_minute_a_networks_limit_stays(one_minute: list[float]) -> None:
    counted = MinuteLimit(80)
    here = at("93.184.216.34")
    admitted_of(counted, here)
    assert {admitted_of(counted, here) for _ in range(200)} == {0}
    assert one_minute == [600.0]


def full_queue() -> RenderQueue:
    """Return a queue in which a render goes on for ever, and no one may wait for it."""
    queue = RenderQueue(max_waiting=0)
    queue._is_busy = True
    return queue


async def test_where_too_many_wait_for_a_page_one_can_still_sign(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "RenderQueue", full_queue)
    async with installation(database_url, tmp_path) as site:
        for path in (f"/en/{SLUG}", "/en/nothing-here", f"/embed/{SLUG}?accent=c0392b", "/organizer/enter"):
            crowded = await site.client.get(path)
            assert crowded.status_code == 503
            assert int(crowded.headers["retry-after"]) > 0
        assert is_problem(await site.client.get(API), 503)
        for swift in ("/healthz", "/readyz", f"/captcha/challenge?letter={SLUG}"):
            assert (await site.client.get(swift)).status_code == 200
        assert (await site.sign()).status_code == 303


@pytest.mark.usefixtures("one_minute")
async def test_what_is_made_for_one_asker_alone_is_counted(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_API="3") as site:
        here = site.new_network()
        frame, builder = f"/embed/{SLUG}?accent=", f"/en/{SLUG}/embed?theme=dark"
        oembed = f"/oembed?url={site.base}/en/{SLUG}"
        for path in (f"{frame}c0392b", builder, oembed):
            assert (await site.client.get(path, headers=here)).status_code == 200
        for path in (f"{frame}00ff00", builder, oembed, f"/en/{SLUG}/updates?before=7"):
            answer = await site.client.get(path, headers=here)
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) > 0
        # A colour that was rendered is cached, with or without the parameter for the height.
        for path in (f"{frame}c0392b", f"{frame}C0392B&origin=https://host.example", f"/embed/{SLUG}", builder[:-11]):
            assert (await site.client.get(path, headers=here)).status_code == 200
        assert (await site.client.get(f"{frame}00ff00", headers=site.new_network())).status_code == 200


@pytest.mark.usefixtures("one_minute")
async def test_a_network_that_reads_too_much_is_told_when_to_come_back(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_READING="3") as site:
        here, there = site.new_network(), site.new_network()
        assert (await site.client.get(LIST, headers=there)).status_code == 200
        for path in (f"{LIST}?q=boris", f"{LIST}?q=vera", API):
            assert (await site.client.get(path, headers=here)).status_code == 200
        for path in (f"{LIST}?q=boris", f"{LIST}?q=vera", API):
            answer = await site.client.get(path, headers=here)
            assert answer.status_code == 429
            assert 0 < int(answer.headers["retry-after"]) <= 60
            assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/problem+json"
        assert (await site.client.get(f"/en/{SLUG}/report/person/1", headers=here)).status_code == 429
        # Pages in memory are not limited, nor is another network.
        for path in (f"/en/{SLUG}", LIST):
            assert (await site.client.get(path, headers=here)).status_code == 200
        assert (await site.client.get(f"/api/v1/letters/{SLUG}/count", headers=here)).status_code == 200
        assert (await site.client.get(f"{LIST}?q=vera", headers=there)).status_code == 200


@pytest.mark.parametrize("path", [f"/en/{SLUG}/sign", f"/en/{SLUG}/find", f"/en/{SLUG}/report/person/1"])
@pytest.mark.usefixtures("one_minute")
async def test_forms_without_a_challenge_are_counted(database_url: str, tmp_path: Path, path: str) -> None:
    async with installation(database_url, tmp_path, LIMIT_FORMS="2") as site:
        here = site.new_network()
        for _ in range(2):
            assert (await site.client.post(path, data={"name": "x"}, headers=here)).status_code in {404, 422}
        answer = await site.client.post(path, data={"name": "x"}, headers=here)
        assert answer.status_code == 429
        assert "retry-after" in answer.headers
        assert (await site.sign()).status_code == 303


async def test_while_all_turns_are_taken_one_can_still_sign(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that hangs in the database delays other searches; a form with everything right needs no turn at all."""
    limit = ConcurrencyLimit(max_waiting=0)
    monkeypatch.setattr(throttle, "ConcurrencyLimit", lambda *_, **__: limit)
    async with installation(database_url, tmp_path) as site, AsyncExitStack() as stack:
        for _ in range(turns.MAX_CONCURRENT):
            await stack.enter_async_context(limit.slot())
        answer = await site.client.get(LIST)
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert (await site.sign()).status_code == 303
        assert (await site.client.get(f"/ru/{SLUG}")).status_code == 200
