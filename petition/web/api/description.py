"""The API's description: one OpenAPI 3.1 document, rendered from a template."""

import json
from typing import Any

from petition.core.limits import Limits
from petition.core.templates import Renderer
from petition.signatures.evidence_kinds import EvidenceKind
from petition.web.throttle import MINUTE

MAX_ITEMS = 500  # signatories in one response
DEFAULT_ITEMS = 100
MAX_PERIODS = 1000  # hours or days of history in one response
MAX_MATCHES = 200  # of a search
EXAMPLE_SLUG = "keep-the-channels-open"  # if no letter is open


def openapi_document(renderer: Renderer, lang: str, limits: Limits, slug: str = EXAMPLE_SLUG) -> dict[str, Any]:
    """Return the document with its descriptions in ``lang`` and examples about the letter ``slug``."""
    text = renderer.render(
        "api/openapi.json",
        lang,
        limits=limits,
        slug=slug,
        max_items=MAX_ITEMS,
        default_items=DEFAULT_ITEMS,
        max_periods=MAX_PERIODS,
        max_matches=MAX_MATCHES,
        minute=MINUTE,
        evidence_kinds=[kind.value for kind in EvidenceKind],
    )
    document: dict[str, Any] = json.loads(text)
    return document
