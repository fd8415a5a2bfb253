"""The report as signed JSON.

What is signed is a note (c2sp.org/signed-note) with the SHA-256 of the JSON without its ``signature``, in the one form
that RFC 8785 defines: names sorted, no spaces, UTF-8. docs/api.md says how to verify it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from petition.audits.model import AuditResult
from petition.core.i18n import Languages
from petition.core.signed_notes import NoteSigner
from petition.count_report import quoting
from petition.count_report.definitions import definitions
from petition.count_report.model import MIN_ASKED, ConfirmedShare, CountReport
from petition.count_report.removals import Removals
from petition.letters.sources import CountSource
from petition.signatures.evidence_kinds import MEANINGS

PATH = "how-we-count"
SIGNATURE = "signature"


def document(report: CountReport, languages: Languages, base_url: str) -> dict[str, Any]:
    """Return the report as JSON, not signed yet."""
    letter, published = report.letter, report.published
    counts = published.counts
    return {
        "slug": letter.slug,
        "state": letter.state.value,
        "urls": {lang: f"{base_url}/{lang}/{letter.slug}/{PATH}" for lang in languages},
        "counts": {
            "total": counts.total,
            "people": counts.people,
            "organizations": counts.organizations,
            "hidden": counts.hidden,
            "imported": counts.imported,
        },
        "counted_at": _time(published.counted_at),
        "quote": {lang: quoting.sentence(language, report) for lang, language in languages.items()},
        "definitions": {lang: definitions(language) for lang, language in languages.items()},
        "sources": [source_of(source) for source in report.sources],
        "evidence": None if report.evidence is None else {kind.value: n for kind, n in report.evidence.items()},
        "evidence_meanings": {
            lang: {kind.value: language.gettext(meaning) for kind, meaning in MEANINGS.items()}
            for lang, language in languages.items()
        },
        "removals": _removals(report.removals),
        "confirmations": _share(report.share),
        "log": _log(report, base_url),
        "audit": None if report.audit is None else _audit(report.audit, languages),
        "audits": [audit.announcement(base_url, report.letter.slug) for audit in report.audits],
    }


def signed(content: Mapping[str, Any], signer: NoteSigner) -> dict[str, Any]:
    """Return the JSON with the key and the signature; ``signer`` has the installation's host as its name."""
    body = {**content, "key": str(signer.key)}
    digest = hashlib.sha256(canonical(body)).hexdigest()
    text = f"{signer.name}/{PATH}/{content['slug']}\nsha256 {digest}\ncounted {content['counted_at']}\n"
    return {**body, SIGNATURE: signer.sign(text)}


def canonical(body: Mapping[str, Any]) -> bytes:
    """Return the bytes whose digest is signed: RFC 8785 for objects with ASCII names, text, whole numbers and null."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def source_of(source: CountSource) -> dict[str, Any]:
    """Return a source as the API has it everywhere."""
    return {
        "kind": source.kind.value,
        "people": source.people,
        "organizations": source.organizations,
        "on": source.on.isoformat() if source.on else None,
        "source": dict(source.source) or None,
    }


def _removals(removals: Removals) -> dict[str, Any]:
    return {
        "until": _day(removals.until),
        "minimum": removals.minimum,
        "total": removals.total,
        "restored": removals.restored,
        "reasons": dict(removals.reasons),
        "weeks": [
            {
                "from": _day(period.first),
                "to": _day(period.last),
                "total": period.total,
                "reasons": dict(period.reasons),
            }
            for period in removals.periods
        ],
    }


def _share(share: ConfirmedShare) -> dict[str, Any]:
    has_numbers = share.is_shown and not share.is_rounded
    return {
        "until": _time(share.until),
        "minimum": MIN_ASKED,
        "asked": share.asked if has_numbers else None,
        "confirmed": share.confirmed if has_numbers else None,
        "percent": share.percent,
    }


def _log(report: CountReport, base_url: str) -> dict[str, Any] | None:
    log, (people, organizations) = report.log, report.waiting
    if log is None:
        return None
    return {
        "url": f"{base_url}/log/{report.letter.slug}/checkpoint",
        "checkpoint": log.cosigned,
        "signed_at": _time(log.signed_at),
        "size": log.size,
        "people": log.people,
        "organizations": log.organizations,
        "waiting": {"people": people, "organizations": organizations},
        "witnesses": [
            {"title": one.title, "key": one.key, "size": one.size, "at": _time(one.at)} for one in report.witnesses
        ],
    }


def _audit(audit: AuditResult, languages: Languages) -> dict[str, Any]:
    # Shares are text: RFC 8785 writes fractions as JavaScript does, which other languages get wrong.
    values = {name: f"{value:.6f}" if isinstance(value, float) else value for name, value in audit.as_json().items()}
    return {**values, "sentence": {lang: audit.sentence(language) for lang, language in languages.items()}}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(day: date) -> str:
    return day.isoformat()
