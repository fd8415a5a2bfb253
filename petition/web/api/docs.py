"""The API's description as an OpenAPI document and, rendered from it, as a page."""

import json
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from petition.web import headers, http
from petition.web.api.answers import EXPOSED, FOR_ANYONE, MEMORY, limited
from petition.web.api.description import EXAMPLE_SLUG, openapi_document
from petition.web.page_cache import ALL, CachedResponse, build_response

DOCUMENT = "/api/v1/openapi.json"
JSON = b"application/json"
DOCUMENT_LANG = "en"

Schema = dict[str, Any]


async def openapi(request: Request) -> Response:
    services = http.services_of(request)

    async def render() -> CachedResponse:
        body = json.dumps(await _document(request, DOCUMENT_LANG), ensure_ascii=False, indent=1).encode()
        return build_response(body, JSON, [FOR_ANYONE, EXPOSED, *headers.common_headers(services.settings)])

    return http.CachedPageResponse(request, await services.pages.get(DOCUMENT, ALL, render))


async def to_page(request: Request) -> Response:
    """Redirect the API's root to its page in the browser's language."""
    lang = http.services_of(request).renderer.languages.best(request.headers.get("accept-language", ""))
    response = http.redirect(f"/{lang}/api")
    response.headers["vary"] = "Accept-Language"
    return response


async def page(request: Request) -> Response:
    lang, services = http.check_lang(request), http.services_of(request)

    async def render() -> CachedResponse:
        document = await _document(request, lang)
        operations = [_operation(document, path) for path in document["paths"]]
        # The page's style sheet is a file: pages inline only what they all need.
        policy = (
            b"content-security-policy",
            headers.policy(services.renderer.sheet.hash, {"style-src": "'self'"}).encode(),
        )
        return http.cacheable_page(request, "api/docs.html", [policy], api=document, operations=operations)

    return http.CachedPageResponse(request, await services.pages.get(f"/{lang}/api", ALL, render))


async def _document(request: Request, lang: str) -> Schema:
    """Return the document, with the newest open letter as its example."""
    services = http.services_of(request)
    letters = await services.letters.index()
    slug = letters[0].letter.slug if letters else EXAMPLE_SLUG
    return openapi_document(services.renderer, lang, services.settings.limits, slug)


def _operation(document: Schema, path: str) -> dict[str, Any]:
    """Return the operation at ``path`` for the template, its references resolved."""
    operation = document["paths"][path]["get"]
    components = document["components"]
    content = next(iter(operation["responses"]["200"]["content"].values()))
    schema = content["schema"].get("$ref", "").rpartition("/")[2]
    example = content["example"]
    return {
        "path": path,
        "name": operation["operationId"],
        "summary": operation["summary"],
        "description": operation.get("description"),
        "parameters": [_resolve(parameter, components["parameters"]) for parameter in operation["parameters"]],
        "fields": list(_fields(components["schemas"], schema)) if schema else [],
        "samples": operation["x-codeSamples"],
        "example": example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, indent=2),
        "answers": [
            (status, _resolve(response, components["responses"])["description"])
            for status, response in operation["responses"].items()
        ],
    }


def _resolve(part: Schema, components: dict[str, Schema]) -> Schema:
    return components[part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def _fields(schemas: dict[str, Schema], name: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (name, description) of every described field, nested ones too."""
    for field, schema in schemas[name]["properties"].items() if name in schemas else ():
        yield from _field(schemas, prefix + field, schema)


def _field(schemas: dict[str, Schema], name: str, schema: Schema) -> Iterator[tuple[str, str]]:
    if "description" in schema:
        yield name, schema["description"]
    for property_name, property_schema in schema.get("properties", {}).items():
        yield from _field(schemas, f"{name}.{property_name}", property_schema)
    items = schema.get("items", {})
    for item in (items, *items.get("anyOf", ())):
        yield from _fields(schemas, item.get("$ref", "").rpartition("/")[2], f"{name}[].")


ROUTES: list[BaseRoute] = [
    Route("/api/v1/", to_page),
    Route(DOCUMENT, limited(MEMORY, openapi), methods=["GET", "OPTIONS"]),
    Route("/{lang}/api", page),
]
