"""The few words of embeds, in every language there is: the badge's, the frame's, and those that travel in a script."""

from collections.abc import Mapping

from petition.core.i18n import Language, Languages

_ENOUGH = 200  # numbers among which every language uses each of its plural forms


def signatures(language: Language, count: int) -> str:
    """Return the word alone, in the form that ``count`` takes."""
    return language.ngettext("signature", "signatures", count)


def organizations(language: Language, count: int) -> str:
    """Return the word alone, in the form that ``count`` takes."""
    return language.ngettext("organization", "organizations", count)


def how_many(language: Language, count: int) -> str:
    """Return "3,471 signatures"."""
    return language.ngettext("%(shown)s signature", "%(shown)s signatures", count) % {"shown": language.number(count)}


def table(languages: Languages) -> dict[str, dict[str, object]]:
    """Return what the component has to know: for each language its words by CLDR's name of the plural form."""
    return {code: of(language) for code, language in languages.items()}


def of(language: Language) -> dict[str, object]:
    """Return the words of one language."""
    samples: Mapping[str, int] = {language.locale.plural_form(count): count for count in range(_ENOUGH, -1, -1)}
    return {
        "signatures": {form: signatures(language, count) for form, count in samples.items()},
        "organizations": {form: organizations(language, count) for form, count in samples.items()},
        "goal": language.gettext("Goal"),
        "sign": language.gettext("Sign this letter"),
    }
