"""How the count is made up and proven, as signed JSON."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.count_report import document, reading
from petition.web import headers, http
from petition.web.api.answers import EXPOSED, FOR_ANYONE, MEMORY, limited, policy_header
from petition.web.page_cache import CachedResponse, build_response, weak_etag

METHODS = ["GET", "OPTIONS"]
JSON = b"application/json"
DATED = ("counted_at", "quote")  # what moves with the time alone: an unchanged report stays a 304


async def how_we_count(request: Request) -> Response:
    services, slug = http.services_of(request), request.path_params["slug"]
    await services.letters.get(slug)

    async def render() -> CachedResponse:
        published = await services.letters.get(slug)
        async with services.database.connection() as conn:
            signer = await services.copies.signer(conn)
            async with conn.transaction(isolation="repeatable_read", readonly=True):
                report = await reading.read(conn, published)
        content = document.document(report, services.renderer.languages, services.settings.base_url)
        undated = {name: value for name, value in content.items() if name not in DATED}
        answer = [FOR_ANYONE, EXPOSED, policy_header(MEMORY, services.settings.limits.api)]
        return build_response(
            _dump(document.signed(content, signer)),
            JSON,
            [*answer, *headers.common_headers(services.settings)],
            etag=weak_etag(_dump(undated)),
        )

    page = await services.pages.get(f"/api/v1/letters/{slug}/how-we-count", slug, render, dated=True)
    return http.CachedPageResponse(request, page)


def _dump(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


ROUTES: list[BaseRoute] = [Route("/api/v1/letters/{slug}/how-we-count", limited(MEMORY, how_we_count), methods=METHODS)]
