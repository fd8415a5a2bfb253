"""What the keeper was asked, counted by hour and purpose; nothing else of a request is remembered."""

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

from petition.core.private_folders import open_private

KEPT_HOURS = 30 * 24
PURPOSE = re.compile(r"[a-z_]{1,20}")
REFUSED = "refused"  # a wrong token
LIMITED = "limited"  # above the limit
OTHER = "other"
MAX_PURPOSES = 50  # an hour; the words of further ones are the client's, and would fill the memory


class HourCount(TypedDict):
    """One line of the page."""

    hour: str  # UTC, as 2026-11-30T09:00Z
    purpose: str
    requests: int
    values: int


class KeeperCounts:
    """KeeperCounts in memory and in a file, if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._is_stored = True
        if path is not None and path.exists():
            for row in json.loads(path.read_text("utf-8")):
                self._counts[row["hour"], row["purpose"]] = [row["requests"], row["values"]]

    def add(self, purpose: str, values: int) -> None:
        hour = _hour(datetime.now(UTC))
        is_new = (hour, purpose) not in self._counts
        if is_new and sum(counted == hour for counted, _ in self._counts) >= MAX_PURPOSES:
            purpose = OTHER
        count = self._counts.setdefault((hour, purpose), [0, 0])
        count[0] += 1
        count[1] += values
        self._is_stored = False

    def add_all(self, values: Mapping[str, int]) -> None:
        for purpose, number in values.items():
            self.add(purpose, number)

    def rows(self) -> list[HourCount]:
        """Return the newest hours first."""
        ordered = sorted(self._counts.items(), key=lambda item: item[0][1])
        ordered.sort(key=lambda item: item[0][0], reverse=True)
        return [
            {"hour": hour, "purpose": purpose, "requests": requests, "values": values}
            for (hour, purpose), (requests, values) in ordered
        ]

    def store(self) -> None:
        """Drop what is older than 30 days; write the file whole or not at all, if anything is new."""
        oldest = _hour(datetime.now(UTC) - timedelta(hours=KEPT_HOURS))
        self._counts = {key: count for key, count in self._counts.items() if key[0] >= oldest}
        if self._path is None or self._is_stored:
            return
        unfinished = self._path.with_suffix(".new")
        descriptor = open_private(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self.rows(), file)
        unfinished.replace(self._path)
        self._is_stored = True


def _hour(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:00Z")
