"""What is measured by itself only: two processes over one, bytes, a million signatories (which takes half an hour), and
twenty minutes of all that people do."""

from collections.abc import Awaitable, Callable, Mapping

from petition.core.database import connect
from tests.bench import acts, flat, million, mixed
from tests.bench.figures import Figures, Size
from tests.bench.load import Order, send
from tests.bench.place import FEW, SERVE, Place
from tests.bench.rounds import SIGNERS
from tests.bench.visitors import PENDING_COLUMNS, Visitors

# Tables and indexes that a letter's signatures fill; the rest of the schema does not grow with them.
BYTES = """
SELECT c.relname AS name, pg_relation_size(c.oid) + coalesce(pg_relation_size(c.reltoastrelid), 0) AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'i') ORDER BY bytes DESC
"""


async def measure_million(place: Place, size: Size, figures: Figures) -> None:
    """Have very many sign and confirm, once."""
    async with place.published("million") as url:
        figures.values |= {name: [value] for name, value in (await million.run(place, url, size.people)).items()}


async def measure_mixed(place: Place, size: Size, figures: Figures) -> None:
    """Have people do all they do for twenty minutes, and watch the memory of each process."""
    async with place.published("mixed") as url:
        figures.values |= {name: [value] for name, value in (await mixed.run(place, url, size.mixed)).items()}


async def measure_processes(place: Place, size: Size, figures: Figures) -> None:
    """Measure signing and confirming by one process and by two, in turn: rates, and what all processes use for it."""
    async with place.web(FEW) as one, place.beside(one, (*SERVE, "--workers", "2"), {}) as two:
        visitors, postmaster = Visitors(one.letter), await million.postmaster_of(one.url)
        for number in range(size.rounds + 1):
            print(f"round {number} of {size.rounds}: processes", flush=True)
            for name, web in (("one", one), ("two", two)) if number % 2 else (("two", two), ("one", one)):
                rows = visitors.waiting(size.forms)
                conn = await connect(web.url)
                await conn.copy_records_to_table("pending", records=rows, columns=PENDING_COLUMNS)
                await conn.close()
                confirming = visitors.confirming(rows, web.port)
                for what, requests in (("sign", visitors.signing(size.forms, web.port)), ("confirm", confirming)):
                    before = [million.cpu_with_children(pid) for pid in (web.process.pid, postmaster)]
                    tally = await send(Order(web.port, requests, SIGNERS))
                    after = [million.cpu_with_children(pid) for pid in (web.process.pid, postmaster)]
                    if set(tally.statuses) != {"303"}:
                        raise RuntimeError(f"{what}: answers were {tally.statuses}")
                    if number:  # the first is a warm-up
                        figures.values[f"{what} by {name} rate"].append(tally.rate)
                        for part, end, start in zip(("web", "database"), after, before, strict=True):
                            figures.values[f"{what} by {name} {part} cpu"].append((end - start) / len(requests) * 1e6)


async def measure_bytes(place: Place, size: Size, figures: Figures) -> None:
    """Measure what a signature takes in PostgreSQL, by table and by index, of a letter that many have signed."""
    conn = await connect(place.url(f"letters_{size.rows}"))
    rows = await conn.fetch(BYTES)
    await conn.close()
    for row in rows:
        if row["bytes"] > size.rows / 10:
            figures.values[f"bytes of {row['name']}"].append(row["bytes"] / size.rows)
    figures.values["bytes of all"].append(sum(row["bytes"] for row in rows) / size.rows)


PARTS: Mapping[str, Callable[[Place, Size, Figures], Awaitable[None]]] = {
    "million": measure_million,
    "mixed": measure_mixed,
    "processes": measure_processes,
    "bytes": measure_bytes,
    "flat": flat.measure,
    "acts": acts.measure,
}
