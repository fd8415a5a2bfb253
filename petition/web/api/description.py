"""The API described: one OpenAPI 3.1 document, from which the page for people is made too."""

from collections.abc import Mapping
from typing import Any

from petition.core.i18n import N_
from petition.core.settings import Limits
from petition.web.api.examples import samples
from petition.web.api.schemas import Schema, Words, schemas
from petition.web.throttle import MINUTE

MAX_ITEMS = 500  # signatories in one answer
DEFAULT_ITEMS = 100
PERIODS = 1000  # hours or days of history in one answer
BEST = 200  # a search's
EXAMPLE = "keep-the-channels-open"  # shown where no letter is open

SLUG = "^[a-z0-9-]{3,64}$"
COUNT = {"total": 3471, "people": 3436, "organizations": 35}
COUNTED = {"counted_at": "2022-03-07T12:00:00Z"}


def document(_: Words, base_url: str, limits: Limits, slug: str = EXAMPLE) -> dict[str, Any]:
    """Return the whole document; its examples are about the letter ``slug``."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": _(N_("Open letters API")),
            "version": "1.0.0",
            "summary": _(N_("Letters, their counts, their history and their public lists, as JSON.")),
            "description": "\n\n".join(_about(_, limits)),
        },
        "servers": [{"url": base_url}],
        "paths": {path: {"get": made} for path, made in _operations(_, base_url, slug).items()},
        "components": {
            "schemas": schemas(_),
            "parameters": {"slug": _slug(_, slug)},
            "headers": _headers(_),
            "responses": _refusals(_),
        },
    }


def _about(_: Words, limits: Limits) -> list[str]:
    kept = N_(
        "Responses carry an ETag. Send it back in If-None-Match: until something changes, the "
        "response is 304 without a body. Responses may be cached for five seconds; asking more "
        "often brings nothing new."
    )
    limited = N_(
        "For each server process, one network may make %(memory)s requests a minute for data in "
        "memory and %(database)s for data read from the database. The RateLimit-Policy and "
        "RateLimit headers give the limit and what is left of it. Above the limit the response is "
        "429 with Retry-After. Cached responses do not count and give only the limit."
    )
    names = N_(
        "The names here were put on a public list by their owners, who may withdraw them at any "
        "time. Do not store copies; ask again."
    )
    return [
        _(N_("Open to anyone, from any site, with no key and no cookies. All times are UTC.")),
        _(kept),
        _(limited) % {"memory": limits.api, "database": limits.reading},
        _(N_("Errors follow RFC 9457: the content type is application/problem+json.")),
        _(names),
    ]


def _operations(_: Words, base_url: str, slug: str) -> dict[str, Schema]:
    root = "/api/v1/letters/{slug}"

    def made(name: str, summary: str, schema: str, example: object, **more: Any) -> Schema:
        tail = "" if name == "letter" else f"/{name}"
        return _operation(_, name, summary, _json(schema, example), **more) | {
            "x-codeSamples": samples(name, f"{base_url}{root}{tail}".replace("{slug}", slug))
        }

    return {
        root: made("letter", _(N_("A letter: its state, titles and count")), "Letter", _letter(base_url, slug)),
        f"{root}/count": made("count", _(N_("Only the count")), "Count", COUNT | COUNTED),
        f"{root}/history": made(
            "history", _(N_("How the count grew")), "History", HISTORY, parameters=_of_history(_), checked=True
        ),
        f"{root}/signatories": made(
            "signatories",
            _(N_("The public list")),
            "Signatories",
            LIST,
            parameters=_of_list(_),
            checked=True,
            listing=True,
        ),
        f"{root}/partners": made(
            "partners", _(N_("How many signed through each partner whose number is public")), "Partners", PARTNERS
        ),
        f"{root}/events": _operation(_, "events", _(N_("The live count")), EVENTS, tagged=False)
        | {
            "description": _(
                N_("Server-Sent Events: one at once, then one each time the count changes, at most one a second.")
            ),
            "x-codeSamples": samples("events", f"{base_url}{root}/events".replace("{slug}", slug)),
        },
    }


def _operation(
    _: Words,
    name: str,
    summary: str,
    content: Mapping[str, Any],
    parameters: tuple[Schema, ...] = (),
    *,
    checked: bool = False,
    tagged: bool = True,
    listing: bool = False,
) -> Schema:
    headers = ("ETag", "RateLimit-Policy", "RateLimit") if tagged else ()
    told = {each: {"$ref": f"#/components/headers/{each}"} for each in headers}
    answers: dict[str, Schema] = {
        "200": {"description": _(N_("The response")), "headers": told, "content": content},
        "304": {"description": _(N_("Nothing has changed since the response with this ETag"))},
        "403": {"$ref": "#/components/responses/Hidden"},
        "404": {"$ref": "#/components/responses/NotFound"},
        "410": {"$ref": "#/components/responses/Gone"},
        "422": {"$ref": "#/components/responses/Unprocessable"},
        "429": {"$ref": "#/components/responses/TooMany"},
        "503": {"$ref": "#/components/responses/Away"},
    }
    left_out = (set() if checked else {"422"}) | (set() if tagged else {"304"}) | (set() if listing else {"403"})
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [{"$ref": "#/components/parameters/slug"}, *parameters],
        "responses": {status: answer for status, answer in answers.items() if status not in left_out},
    }


def _slug(_: Words, slug: str) -> Schema:
    schema = {"type": "string", "pattern": SLUG, "examples": [slug]}
    told = {"description": _(N_("The letter’s short name, as in its address")), "example": slug}
    return {"name": "slug", "in": "path", "required": True, "schema": schema} | told


def _of_history(_: Words) -> tuple[Schema, ...]:
    periods = {"type": "integer", "minimum": 1, "maximum": PERIODS, "default": PERIODS}
    return (
        _asked("step", {"enum": ["hour", "day"], "default": "day"}, _(N_("Length of a period"))),
        _asked(
            "before", {"type": "string", "format": "date-time"}, _(N_("Only periods that started before this time"))
        ),
        _asked("limit", periods, _(N_("Maximum number of periods, newest first"))),
    )


def _of_list(_: Words) -> tuple[Schema, ...]:
    entries = {"type": "integer", "minimum": 1, "maximum": MAX_ITEMS, "default": DEFAULT_ITEMS}
    place = {"type": "string", "pattern": "^(AA[A-Za-z0-9_-]{19}[AQgw])?$"}
    search = _(
        N_(
            "A name to search for, in Latin or Cyrillic letters, allowing one typing error: the best "
            "%(best)s matches, without next"
        )
    )
    return (
        _asked("kind", {"enum": ["person", "organization"], "default": "person"}, _(N_("Who to list"))),
        _asked("q", {"type": "string", "pattern": "^[^\\x00]*$"}, search % {"best": BEST}),
        _asked("after", place, _(N_("The next value of a response: gives the page after it"))),
        _asked("limit", entries, _(N_("Maximum number of entries"))),
    )


def _asked(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _headers(_: Words) -> dict[str, Schema]:
    text = {"type": "string"}
    return {
        "ETag": {"description": _(N_("Identifies this response, for If-None-Match")), "schema": text},
        "RateLimit-Policy": {
            "description": _(N_("The limit: q requests in w seconds (draft-ietf-httpapi-ratelimit-headers-11)")),
            "schema": text,
            "example": f'"memory";q=600;w={MINUTE}',
        },
        "RateLimit": {
            "description": _(N_("Remaining: r requests in the next t seconds")),
            "schema": text,
            "example": '"memory";r=599;t=42',
        },
        "Retry-After": {
            "description": _(N_("How many seconds to wait before trying again")),
            "schema": {"type": "integer"},
        },
    }


def _refusals(_: Words) -> dict[str, Schema]:
    later = {"headers": {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}}
    return {
        "Hidden": _problem(403, "Forbidden", _(N_("The organizers have hidden the list for now"))),
        "Gone": _problem(410, "Gone", _(N_("The letter has been taken down"))),
        "NotFound": _problem(404, "Not Found", _(N_("No such letter"))),
        "Unprocessable": _problem(
            422,
            "Unprocessable Entity",
            _(N_("A parameter is invalid")),
            detail="kind must be person or organization",
        ),
        "TooMany": _problem(429, "Too Many Requests", _(N_("Too many requests from your network"))) | later,
        "Away": _problem(
            503, "Service Unavailable", _(N_("The database is unavailable, or there are too many requests at once"))
        )
        | later,
    }


def _problem(status: int, title: str, description: str, **more: str) -> Schema:
    example = {"type": "about:blank", "title": title, "status": status, **more}
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema, "example": example}}}


def _json(schema: str, example: object) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}}


def _letter(base_url: str, slug: str) -> dict[str, Any]:
    titles = {"en": "Keep the channels open", "ru": "Не закрывайте каналы"}
    return {
        "slug": slug,
        "state": "open",
        "opened_at": "2022-03-05T09:00:00Z",
        "closes_at": None,
        "goal": 5000,
        "translations": {lang: {"title": title, "url": f"{base_url}/{lang}/{slug}"} for lang, title in titles.items()},
        "counts": {**COUNT, "hidden": 120, "imported": 3400},
        **COUNTED,
    }


HISTORY = {
    "step": "day",
    "items": [
        {"start": "2022-03-05T00:00:00Z", "total": 2108, "people": 2090, "organizations": 18, "change": 2108},
        {"start": "2022-03-06T00:00:00Z", "total": 3471, "people": 3436, "organizations": 35, "change": 1363},
    ],
    "before": None,
}
LIST = {
    "items": [
        {
            "kind": "person",
            "listed_at": "2022-03-07T11:59:58Z",
            "name": "Vera Novak",
            "affiliation": None,
            "city": "Riga",
            "country": "LV",
        }
    ],
    "next": None,
}
PARTNERS = {
    "items": [
        {"name": "north-pier", "title": "North Pier Network", "people": 210, "representatives": 3, "total": 213},
    ]
}
EVENTS = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'event: count\nid: 3436-35\ndata: {"total":3471,"people":3436,"organizations":35,'
        '"counted_at":"2022-03-07T12:00:00Z"}\n\n',
    }
}
