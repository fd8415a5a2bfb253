"""What the templates of a report need, on the page and in copies."""

from typing import Any

from petition.core.i18n import Languages
from petition.count_report import quoting
from petition.count_report.definitions import DEFINITIONS
from petition.count_report.model import MIN_ASKED, CountReport
from petition.signatures.model import REASONS

WORDS = {"reasons": {reason.value: text for reason, text in REASONS.items()}}


def page_context(report: CountReport, languages: Languages, lang: str) -> dict[str, Any]:
    """Return the context of ``letters/_count_report.html``; the quotation in ``lang`` comes first."""
    in_order = sorted(languages, key=lambda code: code != lang)
    return {
        "report": report,
        "quotes": [(code, quoting.sentence(languages[code], report)) for code in in_order],
        "definitions": DEFINITIONS,
        "audit_words": "" if report.audit is None else report.audit.sentence(languages[lang]),
        "words": WORDS,
        "min_asked": MIN_ASKED,
    }
