"""The count as a sentence that can be quoted, in one language: exact, with its moment, and with what it rests on."""

from petition.core.i18n import N_, Language
from petition.count_report.model import CountReport
from petition.letters.sources import CountSource, SourceKind

BOTH = N_("%(people)s and %(organizations)s")
CONFIRMED = N_(
    "As of %(clock)s UTC on %(date)s, %(count)s had signed the open letter “%(title)s” and confirmed by e-mail."
)
NO_ONE = N_("As of %(clock)s UTC on %(date)s, no one had signed the open letter “%(title)s” and confirmed by e-mail.")
LISTED = N_("A list that the organizers brought from elsewhere has another %(count)s.")
PAPER = N_("Another %(count)s signed on paper.")
TOGETHER = N_("Together these are %(count)s.")


def sentence(language: Language, report: CountReport) -> str:
    """Return one sentence, or, if not all have confirmed here, one for each source and one for the sum."""
    published = report.published
    moment, counts = published.counted_at, published.counts
    parts = {kind: _sum([source for source in report.sources if source.kind is kind]) for kind in SourceKind}
    confirmed = parts[SourceKind.CONFIRMED]
    values = {
        "clock": language.clock(moment),
        "date": language.date(moment),
        "title": report.letter.text(language.code).title,
        "count": how_many(language, *confirmed),
    }
    sentences = [language.gettext(CONFIRMED if any(confirmed) else NO_ONE) % values]
    for kind, message in ((SourceKind.LIST, LISTED), (SourceKind.PAPER, PAPER)):
        if any(parts[kind]):
            sentences.append(language.gettext(message) % {"count": how_many(language, *parts[kind])})
    if len(sentences) > 1 and any(confirmed):
        sentences.append(
            language.gettext(TOGETHER) % {"count": how_many(language, counts.people, counts.organizations)}
        )
    return " ".join(sentences)


def how_many(language: Language, people: int, organizations: int) -> str:
    """Return "1,234 people and 12 organizations", without a kind that no one is of."""
    of_people = language.ngettext("%(shown)s person", "%(shown)s people", people)
    of_organizations = language.ngettext("%(shown)s organization", "%(shown)s organizations", organizations)
    of_people %= {"shown": language.number(people)}
    of_organizations %= {"shown": language.number(organizations)}
    if people and organizations:
        return language.gettext(BOTH) % {"people": of_people, "organizations": of_organizations}
    return of_organizations if organizations else of_people


def _sum(sources: list[CountSource]) -> tuple[int, int]:
    return sum(source.people for source in sources), sum(source.organizations for source in sources)
