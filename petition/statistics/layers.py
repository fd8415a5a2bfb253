"""The count by source over time: layers that add up to the total."""

from collections.abc import Mapping, Sequence
from datetime import date

from petition.statistics.model import Period

HERE, ORGANIZATIONS, LISTED, PAPER = "here", "organizations", "listed", "paper"
ORDER = (HERE, ORGANIZATIONS, LISTED, PAPER)  # from the bottom of a chart to its top


def layers(periods: Sequence[Period], tallies: Sequence[tuple[date, int]]) -> Mapping[str, Sequence[int]]:
    """Return the count at the end of each period by source, without sources that never had any.

    ``periods`` begin with the letter's first; ``tallies`` are (day, people counted on paper). At each end the sources
    add up to the total: paper is part of what was not signed here, and lists are the rest of that.
    """
    here = organizations = elsewhere = 0
    values: dict[str, list[int]] = {name: [] for name in ORDER}
    for period in periods:
        here += period.came - period.went
        organizations += period.organizations
        elsewhere += period.imported
        paper = min(sum(people for day, people in tallies if day <= period.start.date()), max(elsewhere, 0))
        for name, value in zip(ORDER, (here, organizations, elsewhere - paper, paper), strict=True):
            values[name].append(value)
    return {name: numbers for name, numbers in values.items() if any(numbers)}
