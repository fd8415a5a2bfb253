"""The OpenAPI document is valid and describes what the server does; its page shows all of it."""

import re
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from petition.core import i18n, resources
from petition.core.limits import Limits
from petition.core.templates import Renderer
from petition.web.api import docs, endpoints, how_we_count
from petition.web.api.description import openapi_document
from tests.running import SLUG, Installation
from tests.signatures.people import organization, sign
from tests.web.api.test_endpoints import LETTER, get
from tests.web.public.test_signatories import letter_of

LANGUAGES = i18n.load(resources.folder("locales"))
RENDERER = Renderer(LANGUAGES, "https://letters.example", None)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_document_is_valid_in_every_language(lang: str) -> None:
    document = openapi_document(RENDERER, lang, Limits())
    OpenAPIV31SpecValidator(document).validate()
    for operation in (path["get"] for path in document["paths"].values()):
        content = operation["responses"]["200"]["content"]
        for kind, media_type in content.items():
            if kind == "application/json":
                check(media_type["example"], media_type["schema"], document)
    for answer in document["components"]["responses"].values():
        check(**answer["content"]["application/problem+json"], document=document)


def check(example: object, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Fail unless ``example`` is what ``schema`` says."""
    whole = {"components": document["components"], **schema}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(example)


def test_every_address_is_described() -> None:
    described = set(openapi_document(RENDERER, "en", Limits())["paths"])
    assert described == {getattr(route, "path", None) for route in (*endpoints.ROUTES, *how_we_count.ROUTES)}
    assert docs.DOCUMENT.startswith("/api/v1/")


async def test_it_is_served_and_kept(site: Installation) -> None:
    document = await get(site, docs.DOCUMENT)
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": site.base}]
    assert document["components"]["parameters"]["slug"]["example"] == SLUG
    first = await site.client.get(docs.DOCUMENT)
    again = await site.client.get(docs.DOCUMENT, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304


async def test_answers_are_as_the_document_says(site: Installation) -> None:
    about = await letter_of(site)
    async with site.database.connection() as conn:
        await sign(conn, about, "Vera Novak")
        await organization(conn, about, "North Pier", "Пирс", representatives=[("Anna", "confirmed")])
        await conn.execute("INSERT INTO count_hour VALUES ($1, now(), 3, 1)", about)
    document = await get(site, docs.DOCUMENT)
    for path, schema in (
        (LETTER, "Letter"),
        (f"{LETTER}/count", "Count"),
        (f"{LETTER}/history?step=hour", "History"),
        (f"{LETTER}/how-we-count", "CountReport"),
        (f"{LETTER}/signatories", "Signatories"),
        (f"{LETTER}/signatories?kind=organization", "Signatories"),
    ):
        answer = (await site.client.get(path)).json()
        check(answer, {"$ref": f"#/components/schemas/{schema}"}, document)
    problem = await site.client.get(f"{LETTER}/signatories?kind=cat")
    check(problem.json(), {"$ref": "#/components/schemas/Problem"}, document)
    assert problem.json()["detail"] == "kind must be person or organization"


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_the_page_tells_all_of_it(site: Installation, lang: str) -> None:
    page = await site.client.get(f"/{lang}/api")
    assert page.status_code == 200
    assert page.headers["content-language"] == lang
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    assert "set-cookie" not in page.headers
    text = re.sub(r"<[^>]+>", "", page.text).replace("&#39;", "'").replace("&#34;", '"')
    document = openapi_document(RENDERER, lang, site.settings.limits)
    for path, operations in document["paths"].items():
        assert f"GET {path}" in text
        assert operations["get"]["summary"] in text
        for parameter in operations["get"]["parameters"]:
            assert parameter.get("description", "") in text
    for name in ("total", "people", "change"):
        assert document["components"]["schemas"]["Period"]["properties"][name]["description"] in text
    assert str(site.settings.limits.api) in text
    assert f'rel="alternate" hreflang="ru" href="{site.base}/ru/api"' in page.text


async def test_the_root_leads_people_to_the_page(site: Installation) -> None:
    answer = await site.client.get("/api/v1/", headers={"accept-language": "ru"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/ru/api")
    assert answer.headers["vary"] == "Accept-Language"
    assert (await site.client.get("/xx/api")).status_code == 404
    assert (await site.client.post("/en/api")).status_code == 405
