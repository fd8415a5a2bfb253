"""What the keeper was asked, for the page of the installation."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from petition.core.errors import Unavailable
from petition.core.i18n import N_
from petition.core.keeper import KeeperClient, KeeperPurpose, KeeperRefused

PURPOSES: Mapping[str, str] = {
    KeeperPurpose.SIGN: N_("signing"),
    KeeperPurpose.FIND: N_("looking for a lost link"),
    KeeperPurpose.CODE: N_("typing the mailed code"),
    KeeperPurpose.OWN_PAGE: N_("the signatory’s own page"),
    KeeperPurpose.MAIL_IN: N_("signing by e-mail"),
    KeeperPurpose.MAIL: N_("sending e-mail"),
    KeeperPurpose.DESK: N_("entering the desk"),
    KeeperPurpose.IMPORT: N_("imports of lists"),
    KeeperPurpose.ADOPT: N_("switching to the keeper"),
    KeeperPurpose.CHECK: N_("checks of the installation"),
    "limited": N_("refused: above the limit"),
    "refused": N_("refused: a wrong token"),
}
_HOUR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00Z")


@dataclass(frozen=True, slots=True)
class KeeperUse:
    """Requests and values of one purpose, in the last 24 hours and in all that the keeper remembers (30 days)."""

    purpose: str  # for the catalogues
    requests_of_day: int
    requests: int
    values: int


@dataclass(frozen=True, slots=True)
class KeeperReport:
    """``problem`` says in English why there are no uses."""

    uses: Sequence[KeeperUse] = ()
    limit: int = 0  # values a minute
    problem: str | None = None


async def report(keeper: KeeperClient) -> KeeperReport | None:
    """Return what the keeper counted; None where there is none."""
    if keeper.address is None:
        return None
    try:
        counts = await keeper.counts()
    except (Unavailable, KeeperRefused) as error:
        return KeeperReport(problem=str(error))
    return read(counts, datetime.now(UTC))


def read(counts: Mapping[str, Any], now: datetime) -> KeeperReport:
    """Return what the keeper's answer says; lines that make no sense are left out."""
    since = f"{now - timedelta(hours=24):%Y-%m-%dT%H:00Z}"
    of_day, requests, values = Counter[str](), Counter[str](), Counter[str]()
    rows = counts.get("hours")
    for row in filter(_is_row, rows if isinstance(rows, list) else []):
        purpose = row["purpose"]
        of_day[purpose] += row["requests"] if row["hour"] > since else 0
        requests[purpose] += row["requests"]
        values[purpose] += row["values"]
    order = sorted(requests, key=lambda purpose: -requests[purpose])
    uses = [KeeperUse(PURPOSES[one], of_day[one], requests[one], values[one]) for one in order]
    limit = counts.get("limit")
    return KeeperReport(uses, limit if isinstance(limit, int) else 0)


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and row.get("purpose") in PURPOSES
        and bool(_HOUR.fullmatch(str(row.get("hour"))))
        and isinstance(row.get("requests"), int)
        and isinstance(row.get("values"), int)
    )
