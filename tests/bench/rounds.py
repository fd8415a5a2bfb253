"""The rounds: everything that is compared is measured in turn, again and again, and the medians are reported."""

import asyncio
from collections.abc import Mapping, Sequence

from petition.core.database import connect
from petition.signatures.listing import Cursor
from tests.bench import count_log, counting_cost, desk_pages, idle, keeper, listeners, mail, mailings, nginx
from tests.bench.bare import fetch
from tests.bench.figures import Figures, Size
from tests.bench.load import Order, Tally, send
from tests.bench.place import FEW, Place, Server, Web
from tests.bench.visitors import PENDING_COLUMNS, Visitors, get, proxy_lines
from tests.running import SLUG

PAGE = f"/ru/{SLUG}"
LIST = f"/ru/{SLUG}/signatories"
HISTORY = f"/api/v1/letters/{SLUG}/history"
PAGES = {"list": LIST, "home": "/ru/", "versions": f"/ru/{SLUG}/versions"}
COUNT = f"/api/v1/letters/{SLUG}/count"
BADGE = f"/badge/{SLUG}.svg?lang=ru"
WORST_READING, WORST_SIGNING = 10_000, 40  # a second, both at once
READERS = 16
PROXIED = 5000  # requests with lines of a proxy, each another visitor's
SIGNERS = 64
MIDDLE = "SELECT listed_at, id FROM signature WHERE letter = 1 ORDER BY listed_at DESC OFFSET $1 LIMIT 1"


class Bench:
    """One run."""

    def __init__(self, place: Place, few: Web, many: Web, size: Size, figures: Figures) -> None:
        self._place = place
        self.webs = {"few": few, "many": many}
        self.size = size
        # Both know the same people, whom only the letters' own keys tell apart.
        self._visitors = {name: Visitors(web.letter) for name, web in self.webs.items()}
        self.figures = figures

    async def warm_page(self) -> None:
        """Measure the letter page against the same bytes from nothing."""
        async with self._place.bare(self.webs["few"], PAGE) as bare:
            for server in (bare, *self.webs.values()):
                await self._pages("", server, PAGE, seconds=0.5)
            await self._pages("bare", bare, PAGE)
            for name, web in self.webs.items():
                await self._pages(f"page {name}", web, PAGE)

    async def pages(self) -> None:
        """Measure the other pages that everyone may ask for, each against the same bytes from nothing."""
        web = self.webs["few"]
        for name, path in PAGES.items():
            async with self._place.bare(web, path) as bare:
                for server in (bare, web):
                    await self._pages("", server, path, seconds=0.5)
                await self._pages(f"{name} bare", bare, path)
                await self._pages(f"{name} page", web, path)

    async def nginx(self) -> None:
        """Measure the letter page against nginx with the same bytes in a file, one process each."""
        web = self.webs["few"]
        async with nginx.beside(web, PAGE, self._place.folder) as other:
            for server in (other, web):
                await self._pages("", server, PAGE, seconds=0.5)
            await self._pages("nginx", other, PAGE)
            await self._pages("page beside nginx", web, PAGE)
            requests = [get(web.port, PAGE, proxy_lines(number)) for number in range(PROXIED)]
            order = Order(web.port, requests, READERS, self.size.seconds)
            await self.measured("page behind a proxy", web, order, "200")

    async def count(self) -> None:
        """Measure the count, for a program."""
        await self._of_program("count", COUNT)

    async def badge(self) -> None:
        """Measure the count as a picture."""
        await self._of_program("badge", BADGE)

    async def _of_program(self, name: str, path: str) -> None:
        web = self.webs["few"]
        async with self._place.bare(web, path) as bare:
            for server in (bare, web):
                await self._pages("", server, path, seconds=0.5)
            await self._pages(f"{name} bare", bare, path)
            await self._pages(name, web, path)
        etag = next(value for name, value in fetch(web.port, path)[0] if name.lower() == b"etag")
        request = get(web.port, path, f"If-None-Match: {etag.decode()}\r\n")
        order = Order(web.port, [request], READERS, self.size.seconds)
        await self.measured(f"{name} again", web, order, "304")

    async def together(self) -> None:
        """Measure the UK's worst hour: the count read all the time while people sign; whatever is no success counts."""
        web, seconds = self.webs["few"], max(self.size.seconds * 2, 3)
        forms = self._visitors["few"].signing(WORST_SIGNING * seconds, web.port)
        reading = Order(web.port, [get(web.port, COUNT)], SIGNERS, seconds, rate=WORST_READING)
        signing = Order(web.port, forms, SIGNERS, rate=WORST_SIGNING)
        read, signed = await asyncio.gather(send(reading), send(signing))
        wrong = [n for tally in (read, signed) for status, n in tally.statuses.items() if status not in {"200", "303"}]
        self.figures.values["together errors"].append(sum(wrong))
        for name, tally in (("reads", read), ("signatures", signed)):
            self.figures.values[f"together {name} rate"].append(tally.rate)
            self.figures.values[f"together {name} p95"].append(tally.p95)

    async def sign(self) -> None:
        """Measure signing, and pgbench."""
        orders = {
            name: Order(web.port, self._visitors[name].signing(self.size.forms, web.port), SIGNERS)
            for name, web in self.webs.items()
        }
        await self.pgbench()
        async with self._place.bare_form() as bare:
            # All of them twice: the server is new, and each process that it is compared with has had its warm-up.
            for name in ("", "bare form"):
                await self.measured(name, bare, Order(bare.port, orders["few"].requests, SIGNERS), "303")
        for name, order in orders.items():
            before = await self._rows(name, "SELECT count(*) FROM outbox")
            await self.measured(f"sign {name}", self.webs[name], order, "303")
            stored = await self._rows(name, "SELECT count(*) FROM outbox") - before
            assert stored == len(order.requests), f"{stored} of {len(order.requests)} were stored"

    async def warm_up(self) -> None:
        """Have everything imported and every statement prepared."""
        for name, web in self.webs.items():
            forms = self._visitors[name].signing(100, web.port)
            await self.measured("", web, Order(web.port, forms, SIGNERS), "303")

    async def pgbench(self) -> None:
        """Measure what PostgreSQL does by itself."""
        self.figures.values["pgbench rate"].append(await self._place.pgbench(self.size.seconds))

    async def confirm(self) -> None:
        """Measure confirming, all on one letter."""
        pgbench, confirmed = (self.figures.values[f"{name} rate"] for name in ("pgbench", "confirm few"))
        if len(pgbench) == len(confirmed):
            await self.pgbench()
        orders = {}
        for name, web in self.webs.items():
            rows = self._visitors[name].waiting(self.size.forms)
            conn = await connect(web.url)
            await conn.copy_records_to_table("pending", records=rows, columns=PENDING_COLUMNS)
            await conn.close()
            orders[name] = Order(web.port, self._visitors[name].confirming(rows, web.port), SIGNERS)
        for name, order in orders.items():
            before = await self._rows(name, "SELECT people FROM count")
            await self.measured(f"confirm {name}", self.webs[name], order, "303")
            counted = await self._rows(name, "SELECT people FROM count") - before
            assert counted == len(order.requests), f"{counted} of {len(order.requests)} were counted"

    async def lists(self) -> None:
        """Measure the list's first page and the one in the middle, and the history."""
        paths = {"first": dict.fromkeys(self.webs, LIST), "middle": {}, "history": dict.fromkeys(self.webs, HISTORY)}
        for name, web in self.webs.items():
            conn = await connect(web.url)
            row = await conn.fetchrow(MIDDLE, web.rows // 2)
            await conn.close()
            assert row is not None
            paths["middle"][name] = f"{LIST}?after={Cursor(row['listed_at'], row['id']).encode()}"
        for which, of in paths.items():
            await self.in_turn(which, of)

    async def in_turn(self, which: str, paths: Mapping[str, str]) -> None:
        """Measure one page of each letter, the paths by the letter's name."""
        for name, path in paths.items():
            await self._pages("", self.webs[name], path, seconds=0.3)
        for name, path in paths.items():
            await self._pages(f"{which} {name}", self.webs[name], path)

    def turn(self) -> None:
        """Measure the other letter first from now on."""
        self.webs = dict(reversed(self.webs.items()))

    async def streams(self) -> None:
        """Measure what tens of thousands who listen to the count weigh, and how long until the last has heard."""
        web = self.webs["many"]  # the other one's memory is measured
        for name, value in (await listeners.measure(self._place, web, self.size.listeners)).items():
            self.figures.values[name].append(value)

    async def search(self) -> None:
        """Measure the search among many, one at a time."""
        web = self.webs["many"]
        order = Order(web.port, self._visitors["many"].searching(self.size.searches, web.port), 1)
        await self.measured("search many", web, order, "200")

    def memory(self) -> None:
        """Note what the web process that signed and confirmed the most holds."""
        self.figures.values["resident"] = [self.webs["few"].resident()]
        for what in ("sign", "confirm"):
            self.figures.values[f"forms before that, {what}"] = [
                self.size.forms * len(self.figures.values[f"{what} few rate"])
            ]

    async def _pages(self, name: str, server: Server, path: str, seconds: float | None = None) -> None:
        order = Order(server.port, [get(server.port, path)], READERS, seconds or self.size.seconds)
        await self.measured(name, server, order, "200")

    async def measured(self, name: str, server: Server, order: Order, wanted: str) -> Tally:
        """Have an order carried out and note it; without a name only do it."""
        before = server.cpu()
        tally = await send(order)
        used = server.cpu() - before
        if set(tally.statuses) != {wanted}:
            raise RuntimeError(f"{name}: answers were {tally.statuses}")
        if name:
            self.figures.note(name, tally, used)
        return tally

    async def _rows(self, name: str, query: str) -> int:
        conn = await connect(self.webs[name].url)
        found: int = await conn.fetchval(query)
        await conn.close()
        return found


ROAD = ("warm_page", "pages", "nginx", "count", "badge", "together", "streams", "sign", "confirm", "lists", "search")
NAMES = (*ROAD, "idle", "desk", "mail", "log", "keeper", "metrics")


async def run(place: Place, size: Size, only: str | None) -> Figures:
    """Measure everything, or ``only`` one part (one of ``NAMES``)."""
    figures = Figures()
    if only not in {"idle", "desk", "mail", "log", "keeper", "metrics"}:
        await _measure_road(place, size, figures, ROAD if only is None else (only,))
    if only in {None, "idle"}:
        await _measure_idle(place, size, figures)
    if only in {None, "mail"}:
        for number in range(size.rounds):
            print(f"round {number + 1} of {size.rounds}: mail", flush=True)
            await _measure_mail(place, size, figures)
        print("an update to very many", flush=True)
        await _measure_mailing(place, size, figures)
    if only in {None, "log"}:
        await _measure_log(place, size, figures)
    if only in {None, "metrics"}:
        _measure_counting(size, figures)
    if only in {None, "keeper"}:
        await _measure_keeper(place, size, figures)
    if only in {None, "desk"}:
        await _measure_desk(place, size, figures)
    return figures


def _measure_counting(size: Size, figures: Figures) -> None:
    for _ in range(size.rounds):
        cost, kilobytes = counting_cost.measure()
        figures.values["counting a request cpu"].append(cost)
        figures.values["scrape KB"].append(kilobytes)


async def _measure_road(place: Place, size: Size, figures: Figures, names: Sequence[str]) -> None:
    async with place.web(FEW) as few, place.web(size.rows) as many:
        bench = Bench(place, few, many, size, figures)
        await bench.warm_up()
        for number in range(size.rounds):
            for name in names:
                print(f"round {number + 1} of {size.rounds}: {name}", flush=True)
                await getattr(bench, name)()
        bench.memory()


async def _measure_idle(place: Place, size: Size, figures: Figures) -> None:
    """Measure a web process on which nothing happens, with one letter and with very many, in turn."""
    async with place.published("idle_one") as one, place.published("idle_many") as many:
        conn = await connect(many)
        await idle.add_letters(conn, size.letters)
        await conn.close()
        for number in range(size.rounds):
            print(f"round {number + 1} of {size.rounds}: idle", flush=True)
            measured = []
            for url in (one, many):
                async with place.web_on(url) as web:
                    measured.append(await idle.measure(web, size.idle))
            figures.values["idle core"].append(100 * measured[1].share)
            figures.values["idle core of one letter"].append(100 * measured[0].share)
            figures.values["idle statements"].append(measured[1].statements)
            figures.values["idle memory more"].append(measured[1].resident - measured[0].resident)


async def _measure_desk(place: Place, size: Size, figures: Figures) -> None:
    async with place.desk(FEW) as few, place.desk(size.rows) as many:
        seats = await desk_pages.Seat.taken(few), await desk_pages.Seat.taken(many)
        for number in range(size.rounds):
            print(f"round {number + 1} of {size.rounds}: desk", flush=True)
            for name, ratio in desk_pages.measure(*seats, size.looks):
                figures.values[name].append(ratio)


async def _measure_log(place: Place, size: Size, figures: Figures) -> None:
    """Measure confirming with the count log's row and without, in turns, and a log of as many entries."""
    async with place.web(FEW) as few, place.unlogged(few) as unlogged:
        webs = {"logged": few, "unlogged": unlogged}
        visitors = Visitors(few.letter)
        for number in range(2 * size.rounds + 1):
            print(f"round {number} of {2 * size.rounds}: log", flush=True)
            for name, web in webs.items() if number % 2 else reversed(webs.items()):
                rows = visitors.waiting(size.forms)
                conn = await connect(web.url)
                await conn.copy_records_to_table("pending", records=rows, columns=PENDING_COLUMNS)
                await conn.close()
                order = Order(web.port, visitors.confirming(rows, web.port), SIGNERS)
                tally = await send(order)
                if set(tally.statuses) != {"303"}:
                    raise RuntimeError(f"{name}: answers were {tally.statuses}")
                if number:  # the first is a warm-up
                    figures.values[f"{name} rate"].append(tally.rate)
    async with place.published("log") as url:
        await count_log.fill(url, size.rows)
        figures.values["checkpoint ms"].append(await count_log.checkpoint(url, size.rows))
        figures.values["log bytes"].append(await count_log.stored(url))
        length, milliseconds = await count_log.proof(url, place.folder, size.rows)
        figures.values["proof bytes"].append(length)
        figures.values["proof ms"].append(milliseconds)


async def _measure_keeper(place: Place, size: Size, figures: Figures) -> None:
    """Measure how long forms wait for the keeper, at the rate of a letter that everyone signs."""
    async with place.web(FEW) as few, keeper.kept(place, few) as (web, times):
        visitors = Visitors(web.letter)
        for number in range(size.rounds + 1):
            print(f"round {number} of {size.rounds}: keeper", flush=True)
            p95 = await keeper.measure(web, times, visitors, 2 * size.seconds)
            if number:  # the first is a warm-up
                figures.values["keeper p95"].append(p95)


async def _measure_mail(place: Place, size: Size, figures: Figures) -> None:
    """Measure the worker beside aiosmtplib, and confirmations while mail in bulk goes out."""
    with mail.sink(place.folder) as (port, sent):
        speeds = {"aiosmtplib": await mail.bare(port, size.mails)}
        async with place.empty("mail") as url:
            speeds["worker"] = await mail.sent_by_worker(url, place.folder, port, sent, size.mails)
        for name, speed in speeds.items():
            figures.values[f"{name} rate"].append(speed.rate)
            figures.values[f"{name} cpu"].append(speed.cpu)
        async with place.empty("mail") as url:
            figures.values["behind bulk p95"].append(
                1000 * await mail.behind_bulk(url, place.folder, port, sent, size.mails)
            )


async def _measure_mailing(place: Place, size: Size, figures: Figures) -> None:
    """Measure the worker while it mails an update to very many, once: it takes minutes."""
    with mail.sink(place.folder) as (port, sent):
        async with place.empty("mail") as url:
            mailed = await mailings.mail(url, place.folder, port, sent, size.readers)
    figures.values["update to"].append(mailed.readers)
    figures.values["update a minute"].append(mailed.per_minute)
    figures.values["update cpu"].append(mailed.cpu)
    figures.values["update memory growth"].append(mailed.growth)
    figures.values["update memory MiB"].append(max(memory for _, memory in mailed.memory))
    figures.values["behind update p95"].append(1000 * mailed.p95)
