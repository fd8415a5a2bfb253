"""What the API's answers look like, as JSON Schema 2020-12: the components of the OpenAPI document.

Every text goes through ``_``: the served document is English, the page that shows it is in the reader's language.
"""

from collections.abc import Callable
from typing import Any

from petition.core.i18n import N_

Words = Callable[[str], str]
Schema = dict[str, Any]

TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2026-11-21T10:00:00Z"]}
NUMBER: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}


def schemas(_: Words) -> dict[str, Schema]:
    """Return every schema by its name."""
    total = NUMBER | {"description": _(N_("People and organizations together"))}
    people = NUMBER | {"description": _(N_("Confirmed personal signatures, and people counted without names"))}
    organizations = NUMBER | {
        "description": _(N_("Organizations with at least one confirmed signature, however many people signed for them"))
    }
    counted_at = TIME | {"description": _(N_("When this was counted"))}
    three = {"total": total, "people": people, "organizations": organizations}
    hidden = NUMBER | {"description": _(N_("Counted but currently not shown by name"))}
    imported = NUMBER | {"description": _(N_("Imported from an earlier list"))}
    return {
        "Letter": _object(
            {
                "slug": TEXT | {"description": _(N_("The letter’s short name"))},
                "state": {
                    "enum": ["open", "closed", "archived"],
                    "description": _(N_("Only an open letter can be signed")),
                },
                "opened_at": _or_null(TIME),
                "closes_at": _or_null(TIME),
                "goal": {"type": ["integer", "null"], "minimum": 1},
                "translations": {
                    "type": "object",
                    "description": _(N_("For each language: title and page")),
                    "additionalProperties": _object({"title": TEXT, "url": TEXT | {"format": "uri"}}),
                },
                "counts": _object({**three, "hidden": hidden, "imported": imported}),
                "counted_at": counted_at,
            }
        ),
        "Count": _object({**three, "counted_at": counted_at}),
        "History": _object(
            {
                "step": {"enum": ["hour", "day"]},
                "items": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Period"},
                    "description": _(N_("Oldest first; periods in which the count did not change are left out")),
                },
                "before": _or_null(TIME)
                | {"description": _(N_("Where to continue towards the beginning; null at the beginning"))},
            }
        ),
        "Period": _object(
            {
                "start": TIME | {"description": _(N_("Start of the hour or day (UTC)"))},
                **three,
                "change": {"type": "integer", "description": _(N_("Change in the total during this period"))},
            }
        ),
        "Signatories": _object(
            {
                "items": {
                    "type": "array",
                    "items": {
                        "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Person", "Organization")]
                    },
                    "description": _(N_("Newest first")),
                },
                "next": {"type": ["string", "null"], "description": _(N_("Where to continue; null on the last page"))},
            }
        ),
        "Person": _object(
            {
                "kind": {"const": "person"},
                "listed_at": TIME,
                "name": {"type": ["string", "null"]},
                "affiliation": {"type": ["string", "null"]},
                "city": {"type": ["string", "null"]},
                "country": {"type": ["string", "null"], "description": _(N_("ISO 3166 two-letter code"))},
            }
        ),
        "Organization": _object(
            {
                "kind": {"const": "organization"},
                "listed_at": TIME,
                "name_en": {"type": ["string", "null"]},
                "name_ru": {"type": ["string", "null"]},
                "website": {"type": ["string", "null"]},
                "representatives": {
                    "type": "array",
                    "items": TEXT,
                    "description": _(N_("Names of people who chose to be shown")),
                },
            }
        ),
        "Partners": _object({"items": {"type": "array", "items": {"$ref": "#/components/schemas/Partner"}}}),
        "Partner": _object(
            {
                "name": TEXT | {"description": _(N_("As in the address that brought them: ?from=name"))},
                "title": TEXT | {"description": _(N_("Name of the partner"))},
                "people": NUMBER | {"description": _(N_("Confirmed personal signatures"))},
                "representatives": NUMBER
                | {"description": _(N_("People who signed for an organization; one organization may have several"))},
                "total": NUMBER | {"description": _(N_("People and representatives together"))},
            }
        ),
        "Problem": _object(
            {
                "type": TEXT | {"format": "uri-reference"},
                "title": TEXT,
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": TEXT,
                "violated-policies": {"type": "array", "items": TEXT},
            },
            needed=("type", "title", "status"),
        ),
    }


def _object(properties: dict[str, Schema], needed: tuple[str, ...] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties if needed is None else needed),
        "additionalProperties": False,
    }


def _or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}
