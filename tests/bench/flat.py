"""Whether ten million signatures are as quick as a thousand: each page and act with both letters in turn, and searches
of every kind among the many."""

from urllib.parse import quote

from petition.core.database import connect
from tests.bench import desk_fill, desk_pages
from tests.bench.figures import Figures, Size
from tests.bench.load import Order, Tally
from tests.bench.million import cpu_with_children, postmaster_of
from tests.bench.place import FEW, Place, Server
from tests.bench.rounds import PAGE, READERS, Bench
from tests.bench.visitors import get
from tests.running import SLUG

ADD_ORGANIZER = """
INSERT INTO organizer (id, name, lang, digest, sealed) OVERRIDING SYSTEM VALUE
VALUES ($1, 'Organizer', 'ru', sha256('organizer'), '') ON CONFLICT DO NOTHING
"""
QUEUE = ("", "?country=KZ", "?kind=person&state=confirmed")
# In the order of how many names have them: all, thousands, a few, none.
SEARCHES = {
    "common word": ("анна", "Александр", "иванова"),
    "rarer word": ("Борис", "Людмила", "Яна", "Тимур"),
    "rare word": ("Щербадина", "шульгунова", "Kazakovskaya"),
    "two words": ("Анна Иванова", "дмитрий петренко", "Olga Smirnova"),
    "beginning": ("кузн", "Алекс", "мар", "wol"),
    "typing error": ("иваноув", "анна сидрова", "Сиргей"),
    "no hit": ("qqqqq", "цфыщ", "ничегошеньки такого"),
    "Latin letters": ("Ivanova", "sergey", "Nikolay"),
    "one letter": ("а", "я", "z"),
}


class FlatBench(Bench):
    """One run, without what has no part in the comparison; with the database's processor time."""

    postmaster: int

    async def measured(self, name: str, server: Server, order: Order, wanted: str) -> Tally:
        """Note what the database used as well."""
        before = cpu_with_children(self.postmaster)
        tally = await super().measured(name, server, order, wanted)
        used = cpu_with_children(self.postmaster) - before
        if name:
            self.figures.values[f"{name} database cpu"].append(used / sum(tally.statuses.values()) * 1e6)
        return tally

    async def pgbench(self) -> None:
        """Measure nothing: two letters are compared, not a program."""

    async def page(self) -> None:
        """Measure the letter's page."""
        await self.in_turn("page", dict.fromkeys(self.webs, PAGE))

    async def queue(self) -> None:
        """Measure the desk's queue: without a filter, and with two that match many."""
        cookies = {}
        for name, web in self.webs.items():
            conn = await connect(web.url)
            await conn.execute(ADD_ORGANIZER, desk_fill.ORGANIZER)
            cookies[name] = await desk_pages.enter(conn, web.letter.id)
            await conn.close()
        for number, filter in enumerate(QUEUE):
            for name, web in self.webs.items():
                path = f"/organizer/{SLUG}/queue{filter}"
                request = get(web.port, path, f"Cookie: desk={cookies[name]}\r\n")
                await self.measured("", web, Order(web.port, [request], READERS, 0.3), "200")
                which = f"queue {number}" if number else "queue"
                await self.measured(
                    f"{which} {name}", web, Order(web.port, [request], READERS, self.size.seconds), "200"
                )

    async def searches(self) -> None:
        """Measure searches of each kind by themselves, one at a time, and all of them together."""
        web = self.webs["many"]
        every = []
        for kind, typed in SEARCHES.items():
            requests = [get(web.port, f"/ru/{SLUG}/signatories?q={quote(q)}") for q in typed]
            every += requests
            await self.measured(f"search {kind}", web, Order(web.port, requests * 5, 1), "200")
        await self.measured(
            "search many", web, Order(web.port, every * max(1, self.size.searches // len(every)), 1), "200"
        )


async def measure(place: Place, size: Size, figures: Figures) -> None:
    """Compare a letter of ``FEW`` signatures with one of ``size.rows``, in as many rounds as wanted."""
    async with place.web(FEW) as few, place.web(size.rows) as many:
        bench = FlatBench(place, few, many, size, figures)
        bench.postmaster = await postmaster_of(many.url)
        await bench.warm_up()
        for number in range(size.rounds):
            for part in (bench.page, bench.sign, bench.confirm, bench.lists, bench.queue, bench.searches):
                print(f"round {number + 1} of {size.rounds}: {part.__name__}", flush=True)
                await part()
            bench.turn()
