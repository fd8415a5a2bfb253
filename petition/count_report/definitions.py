"""What the numbers mean, for the page and the JSON alike: message ids by the JSON's name."""

from collections.abc import Mapping

from petition.core.i18n import N_, Language

DEFINITIONS: Mapping[str, tuple[str, str]] = {  # name: (word, meaning)
    "people": (
        N_("People"),
        N_(
            "A person counts once the link or the code in our e-mail was used. One mailbox counts once, also under "
            "several spellings of its address."
        ),
    ),
    "organizations": (
        N_("Organizations"),
        N_(
            "An organization counts once, however many people signed for it. Each of them has confirmed by e-mail, and "
            "an organizer has approved the entry."
        ),
    ),
    "hidden": (
        N_("Without a public name"),
        N_("They count, but their names are not shown: everyone chooses who sees the name."),
    ),
    "not_counted": (
        N_("Not counted"),
        N_("What is not confirmed yet, waits for approval, was withdrawn or removed."),
    ),
}


def definitions(language: Language) -> Mapping[str, str]:
    """Return what the numbers mean, in one language."""
    return {name: language.gettext(meaning) for name, (_, meaning) in DEFINITIONS.items()}
