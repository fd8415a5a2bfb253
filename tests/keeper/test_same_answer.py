"""With the keeper on, nothing tells whether a mailbox has signed: no answer, no time, and not the keeper's page."""

import json
import random
import time
from pathlib import Path

from petition.keeper import adoption
from tests import rows
from tests.keeper import keepers
from tests.keeper.test_attacker import site_on, until_kept
from tests.keeper.test_server import ask
from tests.rows import rows_of
from tests.running import SLUG

PAIRS = 1000
SIGMAS = 4.0  # of a rank test on a thousand pairs: chance fails one run in 16,000
STATEMENT = """
INSERT INTO signature (letter, id, kind, visibility, state, version, digest, signed_at, listed_at)
SELECT $1, u.id, 'person', 'public', 'confirmed', 1, u.digest, now(), now()
FROM unnest($2::bigint[], $3::bytea[]) AS u (id, digest)
"""


def signed_rank(differences: list[float]) -> float:
    """Return Wilcoxon's statistic in standard deviations: 0 where known and unknown take the same time."""
    ordered = sorted(filter(None, differences), key=abs)
    number = len(ordered)
    positive = sum(rank for rank, one in enumerate(ordered, 1) if one > 0)
    mean, variance = number * (number + 1) / 4, number * (number + 1) * (2 * number + 1) / 24
    return float((positive - mean) / variance**0.5)


def test_the_rank_test_would_tell() -> None:
    """A difference of a tenth of the noise's width is seen."""
    noise = random.Random(1)
    same = [noise.gauss(0, 1) - noise.gauss(0, 1) for _ in range(PAIRS)]
    assert abs(signed_rank(same)) < SIGMAS
    assert abs(signed_rank([one + 0.3 for one in same])) > SIGMAS


async def test_known_and_unknown_mailboxes_take_the_same_time(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with keepers.a_keeper() as keeper, site_on(database_url, tmp_path, **keeper.settings) as (site, client):
        await adoption.look(site.database, site.settings)
        await until_kept(site)
        known = [f"known{number:04}@letters.example" for number in range(PAIRS)]
        async with site.database.transaction() as conn:
            letter = await rows.letter(conn)
            digests = [await client.digest(letter.keys, address, keepers.PURPOSE) for address in known]
            ids = [int.from_bytes(digest[:7]) for digest in digests]
            await conn.execute(STATEMENT, letter.id, ids, digests)
        before = json.loads((await ask(keeper, "/v1/counts"))[2])["hours"]
        version, differences, answers = await site.digest(), list[float](), set[tuple[int, str]]()
        coin = random.Random(2)
        for number in range(PAIRS):
            seconds: dict[str, float] = {}
            pair = [known[number], f"other{number:04}@letters.example"]
            coin.shuffle(pair)
            for address in pair:
                form = await site.form(email=address, version=version)
                headers = site.new_network()
                began = time.perf_counter()
                answer = await site.client.post(f"/en/{SLUG}/sign", data=form, headers=headers)
                seconds[address[:5]] = time.perf_counter() - began
                answers.add((answer.status_code, answer.headers["location"]))
            differences.append(seconds["known"] - seconds["other"])
        assert answers == {(303, f"/en/{SLUG}/check-your-inbox")}
        assert abs(signed_rank(differences)) < SIGMAS
        after = json.loads((await ask(keeper, "/v1/counts"))[2])["hours"]
        asked = [sum(row["values"] for row in hours if row["purpose"] == "sign") for hours in (before, after)]
        assert asked[1] - asked[0] == 3 * 2 * PAIRS  # three values for each form, whosever it is
        assert len(await rows_of(site.database, "SELECT 1 FROM pending")) == 2 * PAIRS + 1
