"""What the table says, in a reader's language."""

from petition.core.i18n import Language
from petition.stored_data.model import RetentionPeriod, StoredColumns, Table, Until


def period_text(language: Language, period: RetentionPeriod) -> str:
    """Return "7 days" or "1 hour"."""
    if period.unit == "hours":
        text = language.ngettext("%(number)s hour", "%(number)s hours", period.number)
    else:
        text = language.ngettext("%(number)s day", "%(number)s days", period.number)
    return text % {"number": language.number(period.number)}


def until_text(language: Language, until: Until) -> str:
    text = language.gettext(until.text)
    return text % {"period": period_text(language, until.period)} if until.period else text


def readers_text(language: Language, table: Table) -> str:
    return ", ".join(language.gettext(reader) for reader in table.readers)


def columns_text(language: Language, columns: StoredColumns) -> str:
    """Return what some columns hold, and in which form if they cannot be read as they are."""
    what, form = language.gettext(columns.what), language.gettext(columns.form)
    return what if columns.form.name == "CLEAR" else f"{what} ({form})"


def personal_columns(language: Language, table: Table) -> list[str]:
    return [columns_text(language, group) for group in table.columns if group.is_personal]
