"""The API's description: as a document for programs, as a page for people. Both are made of the same."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.web import headers, http
from petition.web.api.answers import EXPOSED, FOR_ANYONE, MEMORY, limited
from petition.web.api.description import EXAMPLE, document
from petition.web.api.schemas import Schema, Words
from petition.web.page_cache import CachedResponse, build_response

DOCUMENT = "/api/v1/openapi.json"
OPENAPI = b"application/json"
ALL = ""  # the group of pages that show more than one letter


async def openapi(request: Request) -> Response:
    """Give the OpenAPI document."""

    async def make() -> CachedResponse:
        body = json.dumps(await _document(request, str), ensure_ascii=False, indent=1).encode()
        return build_response(
            body, OPENAPI, [FOR_ANYONE, EXPOSED, *headers.common_headers(http.services_of(request).settings)]
        )

    return http.CachedPageResponse(request, await http.services_of(request).pages.get(DOCUMENT, ALL, make))


async def to_page(request: Request) -> Response:
    """Lead a person who looks at the API's root to its page."""
    lang = http.services_of(request).renderer.languages.best(request.headers.get("accept-language", ""))
    response = http.redirect(f"/{lang}/api")
    response.headers["vary"] = "Accept-Language"
    return response


async def page(request: Request) -> Response:
    """Show the API to people."""
    lang = http.check_lang(request)

    async def make() -> CachedResponse:
        described = await _document(request, http.language_of(request).gettext)
        shown = {"api": described, "operations": [_shown(described, path) for path in described["paths"]]}
        # Its own sheet is a file: what only this page needs does not travel with every letter.
        policy = headers.policy(http.services_of(request).renderer.css_hash, {"style-src": "'self'"}).encode()
        return http.cacheable_page(request, "api/docs.html", [(b"content-security-policy", policy)], **shown)

    return http.CachedPageResponse(request, await http.services_of(request).pages.get(f"/{lang}/api", ALL, make))


async def _document(request: Request, words: Words) -> Schema:
    """Return the document, with the newest open letter as its example."""
    services = http.services_of(request)
    letters = await services.letters.index()
    slug = letters[0].letter.slug if letters else EXAMPLE
    return document(words, services.settings.base_url, services.settings.limits, slug)


def _shown(described: Schema, path: str) -> dict[str, Any]:
    """Return what the page tells of the operation at ``path``, with nothing left to look up."""
    operation = described["paths"][path]["get"]
    parts = described["components"]
    answer = next(iter(operation["responses"]["200"]["content"].values()))
    schema = answer["schema"].get("$ref", "").rpartition("/")[2]
    example = answer["example"]
    return {
        "path": path,
        "name": operation["operationId"],
        "summary": operation["summary"],
        "description": operation.get("description"),
        "parameters": [_found(each, parts["parameters"]) for each in operation["parameters"]],
        "fields": list(_fields(parts["schemas"], schema)) if schema else [],
        "samples": operation["x-codeSamples"],
        "example": example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=2),
        "answers": [
            (status, _found(each, parts["responses"])["description"]) for status, each in operation["responses"].items()
        ],
    }


def _found(part: Schema, among: dict[str, Schema]) -> Schema:
    return among[part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def _fields(schemas: dict[str, Schema], name: str, before: str = "") -> Any:
    """Yield (name, what it is) of every field that says so, those of fields too."""
    for field, schema in schemas[name]["properties"].items() if name in schemas else ():
        yield from _field(schemas, before + field, schema)


def _field(schemas: dict[str, Schema], name: str, schema: Schema) -> Any:
    if "description" in schema:
        yield name, schema["description"]
    for inner, one in schema.get("properties", {}).items():
        yield from _field(schemas, f"{name}.{inner}", one)
    items = schema.get("items", {})
    for each in (items, *items.get("anyOf", ())):
        yield from _fields(schemas, each.get("$ref", "").rpartition("/")[2], f"{name}[].")


ROUTES: list[BaseRoute] = [
    Route("/api/v1/", to_page),
    Route(DOCUMENT, limited(MEMORY, openapi), methods=["GET", "OPTIONS"]),
    Route("/{lang}/api", page),
]
