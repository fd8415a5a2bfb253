"""What every public view has in common: the language of its address."""

from starlette.routing import Route

from petition.web.public.routes import BUSIEST, ROUTES
from tests.addresses import filled
from tests.running import SLUG, Installation

LOCALIZED = [
    (method, route.path)
    for route in [*BUSIEST, *ROUTES]
    if isinstance(route, Route) and route.path.startswith("/{lang}") and "{picture}" not in route.path
    for method in sorted((route.methods or set()) - {"HEAD"})
]


async def test_an_unknown_language_is_not_found(site: Installation) -> None:
    statuses = {
        (method, path): (await site.client.request(method, await filled(path, site, lang="xx"))).status_code
        for method, path in LOCALIZED
    }
    assert len(statuses) > 20
    assert statuses == dict.fromkeys(LOCALIZED, 404)


async def test_a_sharing_picture_has_no_language(site: Installation) -> None:
    pictures = [
        await site.client.get(await filled("/{lang}/{slug}/picture/{picture}", site, lang=lang))
        for lang in ("en", "xx")
    ]
    assert [response.status_code for response in pictures] == [200, 200]
    assert pictures[0].content == pictures[1].content
    assert (await site.client.get(f"/xx/{SLUG}/picture/8")).status_code == 404
