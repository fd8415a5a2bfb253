"""The desk's navigation: five jobs, and the pages of each; an auditor has one of its own.

The addresses of the pages are older than the jobs and never change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from petition.core.i18n import N_
from petition.organizers.model import Role
from petition.web.desk.visit import ROOT, DeskVisit

# Pages without a link of their own, and the page they belong to.
PAGE_OF = {"publish": "text", "preview": "text", "signatures": "queue", "undo": "queue", "tally": "import"}


@dataclass(frozen=True, slots=True)
class Tab:
    """A page of a job, for roles that cover ``role``."""

    path: str  # below the letter's address; "" is Today
    label: str
    role: Role


@dataclass(frozen=True, slots=True)
class DeskJob:
    """One of the five jobs in the first row; its link leads to the first of its pages."""

    label: str
    short_label: str  # where there is little room
    tabs: tuple[Tab, ...]


JOBS: tuple[DeskJob, ...] = (
    DeskJob(N_("Today"), N_("Today"), (Tab("", N_("Today"), Role.VIEWER),)),
    DeskJob(
        N_("Letter"),
        N_("Letter"),
        (
            Tab("text", N_("Text"), Role.EDITOR),
            Tab("updates", N_("Updates"), Role.EDITOR),
            Tab("delivery", N_("Delivery"), Role.EDITOR),
        ),
    ),
    DeskJob(
        N_("People"),
        N_("People"),
        (
            Tab("queue", N_("Signatures"), Role.MODERATOR),
            Tab("campaigns", N_("Bulk acts"), Role.MODERATOR),
            Tab("partners", N_("Partners"), Role.EDITOR),
            Tab("witnesses", N_("Witnesses"), Role.OWNER),
            Tab("employers", N_("Employers"), Role.EDITOR),
        ),
    ),
    DeskJob(
        N_("Numbers and files"),
        N_("Numbers"),
        (
            Tab("statistics", N_("Numbers"), Role.VIEWER),
            Tab("import", N_("Import"), Role.EDITOR),
            Tab("export", N_("Export"), Role.MODERATOR),
            Tab("addresses", N_("Addresses"), Role.OWNER),
        ),
    ),
    DeskJob(
        N_("Settings"),
        N_("Settings"),
        (
            Tab("state", N_("State"), Role.EDITOR),
            Tab("switches", N_("Switches"), Role.EDITOR),
            Tab("members", N_("Members"), Role.OWNER),
            Tab("audits", N_("Audit"), Role.OWNER),
            Tab("log", N_("Log"), Role.MODERATOR),
            Tab("access", N_("Access"), Role.OWNER),
        ),
    ),
    DeskJob(N_("Audit"), N_("Audit"), (Tab("audits", N_("Audit"), Role.AUDITOR),)),
)


def jobs_of(visit: DeskVisit) -> list[DeskJob]:
    """Return the jobs that the organizer's role has a page of, each with those pages only."""
    allowed = [replace(job, tabs=tuple(tab for tab in job.tabs if visit.may(tab.role))) for job in JOBS]
    return [job for job in allowed if job.tabs]


def find_current(jobs: Sequence[DeskJob], path: str) -> tuple[DeskJob, Tab] | tuple[None, None]:
    """Return the job and its tab that the page at ``path`` belongs to, if they are among ``jobs``."""
    below = path.removeprefix(ROOT).split("/")[1:] or [""]
    name = PAGE_OF.get(below[0], below[0])
    return next(((job, tab) for job in jobs for tab in job.tabs if tab.path == name), (None, None))
