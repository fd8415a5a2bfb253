"""What came out, as a table for people and as JSON."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from petition.core.database import connect
from tests.bench.desk_pages import RATIO as DESK
from tests.bench.figures import Figures, Size

MOST = "≤"
LEAST = "≥"
SETTINGS = "server_version", "fsync", "synchronous_commit", "shared_buffers"


@dataclass(frozen=True)
class Line:
    """One requirement and what was reached."""

    what: str
    reached: float | None
    sense: str
    bound: float
    unit: str = ""

    @property
    def holds(self) -> bool | None:
        """Tell whether it is reached; None if it was not measured."""
        if self.reached is None:
            return None
        return self.reached <= self.bound if self.sense == MOST else self.reached >= self.bound


def lines(figures: Figures, size: Size) -> list[Line]:
    """Return what is required, in the order of the issue."""
    many = f"{size.rows:,} signatures over 1,000"
    grown = {
        "warm page": "page",
        "sign": "sign",
        "confirm": "confirm",
        "first list page": "first",
        "list page in the middle": "middle",
        "history": "history",
        "queue": "queue",
    }
    return [
        Line("warm letter page over bare ASGI", figures.ratio("page few", "bare"), LEAST, 0.8),
        Line("warm letter page over nginx, from a file", figures.ratio("page beside nginx", "nginx"), LEAST, 0.8),
        *(
            Line(f"{what} over bare ASGI", figures.ratio(f"{name} page", f"{name} bare"), LEAST, 0.8)
            for name, what in (("list", "first list page"), ("home", "home page"), ("versions", "versions"))
        ),
        *(
            Line(f"{what} over bare ASGI", figures.ratio(name, f"{name} bare"), LEAST, 0.8)
            for name, what in (("count", "…/count"), ("badge", "badge"))
        ),
        *(
            Line(f"{what}: 304 over 200", figures.ratio(f"{name} again", name), LEAST, 1.0)
            for name, what in (("count", "…/count"), ("badge", "badge"))
        ),
        Line("10,000 count reads/s and 40 signatures/s: errors", figures.median("together errors"), MOST, 0),
        Line("the same: reads reached", figures.median("together reads rate"), LEAST, 9_500, "/s"),
        Line("POST sign over pgbench -c 16", figures.ratio("sign few", "pgbench"), LEAST, 0.25),
        Line("POST sign over a bare POST that parses the form: processor time", *_sign_over_bare(figures)),
        Line("POST confirm over pgbench -c 16", figures.ratio("confirm few", "pgbench"), LEAST, 0.25),
        *(
            Line(f"{what}: {many}", figures.ratio(f"{name} many", f"{name} few"), LEAST, 0.9)
            for what, name in grown.items()
        ),
        Line(f"search at {size.rows:,}, p95", figures.median("search many p95"), MOST, 100, "ms"),
        *(
            line
            for which, where in (("", "one process"), ("all ", "as many processes as they need here"))
            for line in (
                Line(
                    f"{_listeners(figures, which)}, {where}: each",
                    figures.median(f"{which}listener KiB"),
                    MOST,
                    6,
                    "KiB",
                ),
                Line("the same: the last one has it", figures.median(f"{which}listeners late"), MOST, 1000, "ms"),
            )
        ),
        Line(f"{size.letters:,} letters, idle: of a core", figures.median("idle core"), MOST, 2, "%"),
        Line("the same: memory more than with one letter", figures.median("idle memory more"), MOST, 20, "MiB"),
        Line("the same: statements a second", figures.median("idle statements"), MOST, 4),
        Line("one web process, resident", figures.median("resident"), MOST, 120, "MiB"),
        Line("worker's mails over aiosmtplib's", figures.ratio("worker", "aiosmtplib"), LEAST, 0.6),
        Line("worker's mails a minute, sink on the same cores", _a_minute(figures), LEAST, 30_000),
        Line("confirmation behind mail in bulk, p95", figures.median("behind bulk p95"), MOST, 2000, "ms"),
        Line("update to very many: memory, last over first mails", figures.median("update memory growth"), MOST, 1.1),
        Line("confirmation behind that update, p95", figures.median("behind update p95"), MOST, 2000, "ms"),
        Line("POST confirm with the count log over without", figures.ratio("logged", "unlogged"), LEAST, 0.95),
        Line(f"log of {size.rows:,} entries: checkpoint", figures.median("checkpoint ms"), MOST, 100, "ms"),
        Line("the same: storage of an entry", figures.median("log bytes"), MOST, 100, "bytes"),
        Line("the same: a proof", figures.median("proof bytes"), MOST, 2048, "bytes"),
        Line("the same: verified by Go's library", figures.median("proof ms"), MOST, 50, "ms"),
        Line("counting one request, processor time", figures.median("counting a request cpu"), MOST, 2, "µs"),
        Line("/metrics at 20,000 letters", figures.median("scrape KB"), MOST, 200, "KB"),
        Line("keeper's part of POST sign, 200 forms/s, p95", figures.median("keeper p95"), MOST, 15, "ms"),
        *(
            Line(f"{what} by two processes over one", figures.ratio(f"{what} by two", f"{what} by one"), LEAST, 1.5)
            for what in ("sign", "confirm")
        ),
        Line("a signature in PostgreSQL, all tables and indexes", figures.median("bytes of all"), MOST, 400, "bytes"),
        Line(f"{size.people:,} sign and confirm end to end: minutes", figures.median("million minutes"), MOST, 30),
        Line("the same: processor time for a signatory", figures.median("million cpu"), MOST, 3600, "µs"),
        Line("the same: lost", figures.median("million lost"), MOST, 0),
        Line("the same: doubled", figures.median("million doubled"), MOST, 0),
        Line(
            "the same: rate, last quarter over first",
            figures.ratio("million quarter 4", "million quarter 1"),
            LEAST,
            0.9,
        ),
        *(
            Line(
                f"mixed load: memory of {name}, last over first quarter",
                figures.median(f"mixed {name} growth"),
                MOST,
                1.05,
            )
            for name in ("web", "worker", "postgresql")
        ),
        Line("the same: lost, doubled, answered with an error", _wrong(figures), MOST, 0),
        *(
            Line(f"first byte, desk {name.removeprefix(DESK)}", figures.median(name), MOST, 3)
            for name, _ in figures.taken()
            if name.startswith(DESK)
        ),
    ]


def _sign_over_bare(figures: Figures) -> tuple[float | None, str, float]:
    # Commit c0775df4, 377 µs on an idle machine, was at 10.6; two thirds of that are allowed.
    return figures.cpu_ratio("sign few", "bare form"), MOST, 7.1


def _listeners(figures: Figures, which: str) -> str:
    return f"{figures.median(f'{which}listeners') or 0:,.0f} listeners"


def _wrong(figures: Figures) -> float | None:
    lost, doubled, errors = (figures.median(f"mixed {what}") for what in ("lost", "doubled", "errors"))
    return None if lost is None else lost + abs(doubled or 0) + (errors or 0)


def _a_minute(figures: Figures) -> float | None:
    rate = figures.median("worker rate")
    return None if rate is None else 60 * rate


async def machine(url: str) -> dict[str, str]:
    """Return what it was measured on."""
    conn = await connect(url)
    settings = {name: await conn.fetchval(f"SHOW {name}") for name in SETTINGS}
    await conn.close()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return {
        "cores": str(os.cpu_count()),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": settings.pop("server_version"),
        **settings,
        "load average before": load,
    }


def table(found: list[Line], figures: Figures, on: dict[str, str]) -> str:
    """Return the table."""
    rows = [f"{'what':58} {'reached':>12} {'wanted':>10}"]
    for line in found:
        reached = "–" if line.reached is None else f"{line.reached:.2f} {line.unit}".strip()
        sign = {True: "", False: "  NOT REACHED", None: "  not measured"}[line.holds]
        rows.append(f"{line.what:58} {reached:>12} {line.sense + ' ' + f'{line.bound:g}':>10}{sign}")
    rows += ["", "medians of the rounds (rate: a second; cpu: µs of the server's for one answer; p95: ms;"]
    rows += ["generator: share of one core that the load generator needed)"]
    rows += [f"  {name:28} {figures.median(name):12.2f}   {_each(values)}" for name, values in figures.taken()]
    return "\n".join([*rows, "", ", ".join(f"{key} {value}" for key, value in on.items())])


def _each(values: list[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)


def write(folder: Path, found: list[Line], figures: Figures, on: dict[str, str], size: Size) -> Path:
    """Write everything as JSON into ``folder``; return the file."""
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    whole: dict[str, Any] = {
        "measured_at": now.isoformat(timespec="seconds"),
        "machine": on,
        "size": asdict(size),
        "results": [asdict(line) | {"holds": line.holds} for line in found],
        "rounds": figures.values,
    }
    file = folder / f"{now:%Y%m%d-%H%M%S}.json"
    file.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file
