"""The words of embeds: the badge's and the frame's, and those inside the component's script, in every language."""

from collections.abc import Mapping

from petition.addressees.addressee_words import STATES
from petition.core.i18n import Language, Languages

_SEVERAL = 5  # takes the form of a quantity that is yet to be said (in Russian the genitive plural)
_MAX_SAMPLE = 200  # up to it every language uses each of its plural forms


def signatures(language: Language, count: int) -> str:
    """Return the word alone, in the plural form for ``count``."""
    return language.ngettext("signature", "signatures", count)


def signatures_label(language: Language) -> str:
    """Return the word as it stands before any number: "signatures: 3,471", in Russian in the genitive plural."""
    return signatures(language, _SEVERAL)


def organizations(language: Language, count: int) -> str:
    """Return the word alone, in the plural form for ``count``."""
    return language.ngettext("organization", "organizations", count)


def signatures_with_number(language: Language, count: int) -> str:
    """Return "3,471 signatures"."""
    return language.ngettext("%(shown)s signature", "%(shown)s signatures", count) % {"shown": language.number(count)}


def words_by_language(languages: Languages) -> dict[str, dict[str, object]]:
    return {code: words(language) for code, language in languages.items()}


def words(language: Language) -> dict[str, object]:
    """Return the words of one language; nouns by CLDR's name of the plural form."""
    samples: Mapping[str, int] = {language.locale.plural_form(count): count for count in range(_MAX_SAMPLE, -1, -1)}
    return {
        "signatures": {form: signatures(language, count) for form, count in samples.items()},
        "organizations": {form: organizations(language, count) for form, count in samples.items()},
        "goal": language.gettext("Goal"),
        "sign": language.gettext("Sign this letter"),
        "silent": {
            form: language.ngettext("silent for %(shown)s day", "silent for %(shown)s days", count) % {"shown": "#"}
            for form, count in samples.items()
        },
        "states": {state.value: language.gettext(text) for state, text in STATES.items()},
    }
