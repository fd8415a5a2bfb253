"""The table of what holds across processes names every limit that there is."""

import ast
from collections.abc import Iterator

import pytest

from petition.core.limits import LIMITS
from petition.core.resources import PACKAGE

TABLE = (PACKAGE.parent / "docs/scaling.md").read_text(encoding="utf-8").partition("## What holds across processes")[2]
ROWS = [line for line in TABLE.partition("\n## ")[0].splitlines() if line.startswith("| ")]
# Each instance of one of these is a limit.
CLASSES = {"Breaker", "ConcurrencyLimit", "MinuteLimit", "RateLimit", "RenderQueue", "Semaphore", "BoundedSemaphore"}
# A limit may also be a number that a module compares with what it has; these say so by their names.
NUMBERS = {
    "MAX_CONNECTIONS",
    "MAX_PER_NETWORK",
    "MAX_LISTENERS",
    "MAX_AT_ONCE",
    "MAX_CONCURRENT",
    "AT_ONCE",
    "PER_TURN",
}
# What bounds a part of something that has a row of its own, or a listener that is no visitor's.
PARTS = {"petition/web/turns.py", "petition/worker/metrics_page.py"}


def limits() -> Iterator[str]:
    """Yield the path of each module that makes a limit, or names the number of one."""
    for file in sorted(PACKAGE.rglob("*.py")):
        path = f"petition/{file.relative_to(PACKAGE)}"
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        called = {_name(node.func) for node in nodes if isinstance(node, ast.Call)}
        assigned = {
            target.id
            for node in nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if path not in PARTS and (called & CLASSES or assigned & NUMBERS):
            yield path


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize("setting", sorted(LIMITS))
def test_every_limit_that_can_be_set_has_a_row(setting: str) -> None:
    assert [row for row in ROWS if f"`{setting}`" in row.split("|")[1]]


@pytest.mark.parametrize("path", sorted(set(limits())))
def test_every_limit_of_a_process_has_a_row(path: str) -> None:
    assert [row for row in ROWS if f"`{path}`" in row.split("|")[1]]


def test_every_path_of_the_table_has_a_limit() -> None:
    named = {part for row in ROWS for part in row.split("`")[1::2] if part.startswith("petition/")}
    assert named == set(limits())


def test_limits_of_the_database_are_of_the_installation() -> None:
    stored = [row.split("|") for row in ROWS if "limit_use" in row]
    assert len(stored) > 4
    assert {cells[2].strip() for cells in stored} == {"the installation"}
