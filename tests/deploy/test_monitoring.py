"""The alert rules and Grafana's dashboard ask for what web and worker expose, with the labels that it has."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from petition.core import metrics
from petition.core.encryption import Wrapper, new_key
from tests.deploy.proxies import DEPLOY
from tests.running import KEY, SLUG, free_port, installation, link_in, working
from tests.worker.test_metrics_page import BEARER

SELECTOR = re.compile(r"\b(petition_[a-z_]+)(?:\{([^}]*(?:\{[^}]*\}[^}]*)*)\})?")
MATCHER = re.compile(r'([a-z_]+)(=~|=|!=)"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|without) ?\(([a-z_, ]*)\)")
REFUSED = (
    "INSERT INTO relay_hour (relay, hour, outcome, reason, mails) SELECT name, now(), 'refused', 'filter', 1 FROM relay"
)
OF_SCRAPE = {"job", "instance", "le"}


def rules() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    board: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    return list(board["panels"])


def expressions() -> Iterator[tuple[str, str, str]]:
    """Yield whose it is, the expression, and the legend."""
    for rule in rules():
        yield rule["alert"], rule["expr"], ""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


async def scrape(client: httpx2.AsyncClient, url: str) -> dict[str, set[str]]:
    """Return the labels of each series that is exposed."""
    labels = dict[str, set[str]]()
    for metric in text_string_to_metric_families((await client.get(url, headers=BEARER)).text):
        for sample in metric.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


@pytest.fixture
async def exposed(database_url: str, tmp_path: Path, with_letter: None) -> dict[str, set[str]]:
    """Give what is exposed by a web and a worker that had something to do."""
    more = {"METRICS_TOKEN": "t0ken"}
    async with installation(database_url, tmp_path, **more) as site:
        own = site.environ | {"WORKER_METRICS_PORT": str(port := free_port())}
        key = Wrapper((KEY,)).wrap(new_key())
        async with site.database.connection() as conn:
            await conn.execute(
                "INSERT INTO installation (wrapped_suppression_key, backed_up_at) VALUES ($1, now())", key
            )
        async with working(own, site.inbox):
            assert (await site.sign(email="vera@letters.example")).status_code == 303
            link = link_in(await site.mail_to("vera@letters.example"))
            assert (await site.client.post(link)).status_code == 303
            for path in ("/en/", f"/en/{SLUG}", "/en/nothing-here"):
                await site.client.get(path)
            of_worker = dict[str, set[str]]()
            async with site.database.connection() as conn:
                while not await conn.fetchval("SELECT count(*) FROM relay_hour"):
                    await asyncio.sleep(0.05)
                await conn.execute(REFUSED)
            while "petition_worker_chore_last_success_timestamp_seconds" not in of_worker:
                of_worker = await scrape(site.client, f"http://127.0.0.1:{port}/metrics")
            return await scrape(site.client, "/metrics") | of_worker


def test_each_asks_for_what_is_exposed(exposed: dict[str, set[str]]) -> None:
    wrong = list[str]()
    for owner, expression, legend in expressions():
        names = [name for name, _ in SELECTOR.findall(expression)]
        if not names:
            wrong.append(f"{owner}: no metric of ours")
        known = OF_SCRAPE.union(*(exposed.get(name, set()) for name in names))
        wrong += [f"{owner}: {name} is not exposed" for name in names if name not in exposed]
        for name, selectors in SELECTOR.findall(expression):
            labels = {label for label, _, _ in MATCHER.findall(selectors)} - OF_SCRAPE
            wrong += [f"{owner}: {name} has no label {label}" for label in labels - exposed.get(name, set())]
        grouped = {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")} - {""}
        wrong += [f"{owner}: no label {label}" for label in grouped - known]
        wrong += [f"{owner}: legend {label}" for label in set(re.findall(r"\{\{(\w+)\}\}", legend)) - known]
    assert not wrong, "\n".join(wrong)


def test_values_of_labels_are_those_of_the_code() -> None:
    """What a rule selects by a word must be a word that is counted under, or the rule never fires."""
    handbook = (DEPLOY.parent / "docs/operators.md").read_text(encoding="utf-8")
    for owner, expression, _ in expressions():
        for name, selectors in SELECTOR.findall(expression):
            row = re.search(rf"^\| `{re.sub('_(bucket|sum|count)$', '', name)}` \|(.*)$", handbook, re.MULTILINE)
            assert row, f"{owner}: {name} is not in the handbook"
            for label, how, value in MATCHER.findall(selectors):
                if label in {"cause", "kind", "reason", "result"}:
                    for word in value.split("|") if how == "=~" else [value]:
                        assert f"`{word}`" in row[1], f"{owner}: {label}={word}"


def test_every_alert_says_what_to_do_and_every_panel_has_a_place() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) >= 12
    for rule in rules():
        assert rule["alert"].startswith("Petition")
        assert len(rule["annotations"]["summary"]) > 30
    places = [tuple(panel["gridPos"].values()) for panel in panels()]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in panels()})


def test_what_matters_is_watched() -> None:
    """Each metric is on the dashboard or in a rule, but for those that others say better."""
    asked = " ".join(expression for _, expression, _ in expressions())
    elsewhere = {
        "petition_signatures",  # a letter's
        "petition_letters",
        "petition_mails_in_total",
        "petition_bounces",
        "petition_mail_oldest_seconds",  # of both kinds
        "petition_listeners_dropped_total",
        "petition_worker_chores_total",
        "petition_worker_chore_seconds",
    }
    names = {family.name for family in metrics.FAMILIES}
    assert {name for name in names if name not in asked} == elsewhere
