"""What the pictures of a letter show: its share card and its badge."""

from urllib.parse import urlsplit

from petition.addressees import addressee_words
from petition.core.i18n import Language
from petition.letters.parties import Party
from petition.letters.published import PublishedLetter
from petition.pictures import counter_text
from petition.pictures.badge import Badge
from petition.pictures.share_card import MAX_LINE, MAX_TITLE, Card, direction_of, drawable

MAX_ADDRESSEES = 3  # on the card


def badge_of(published: PublishedLetter, language: Language, style: str, theme: str) -> Badge:
    total, title = published.counts.total, published.letter.text(language.code).title
    return Badge(
        label=counter_text.signatures_label(language),
        message=language.number(total),
        title=f"{title}: {counter_text.signatures_with_number(language, total)}",
        style=style,
        theme=theme,
        lang=language.code,
    )


def card_of(published: PublishedLetter, language: Language, base_url: str) -> Card:
    letter, counts = published.letter, published.counts
    title = drawable(letter.text(language.code).title, MAX_TITLE) or letter.slug
    to = language.gettext("An open letter to %(names)s") % {"names": _names(letter.addressees, language)}
    more = "+" if counts.step < counts.total else ""
    return Card(
        lang=language.code,
        title=title,
        title_lang=letter.shown_in(language.code),
        direction=direction_of(title),
        to=drawable(to, MAX_LINE),
        number=language.number(counts.step) + more if counts.total else "",
        label=language.ngettext("signature", "signatures", counts.step) if counts.total else "",
        sender=drawable(_names(letter.initiators, language), MAX_LINE),
        site=urlsplit(base_url).netloc,
        news=_news(published, language),
    )


def _news(published: PublishedLetter, language: Language) -> str:
    """Return what the addressees did, as many as fit on a line; at least the beginning of the first."""
    lines = addressee_words.brief(language, published.letter.addressees, published.today, MAX_ADDRESSEES)
    while len(lines) > 1 and len(" · ".join(lines)) > MAX_LINE:
        lines.pop()
    return drawable(" · ".join(lines), MAX_LINE)


def _names(parties: tuple[Party, ...], language: Language) -> str:
    return ", ".join(party.name(language.code) for party in parties)
