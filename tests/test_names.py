"""Names and prose of the code: a class name stands once, and the words are the field's (docs/decisions/layout.md)."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "petition").rglob("*.py"))

# Pronouns and participles that stand for what a name should say.
BANNED_NAMES = {
    "each", "found", "given", "kept", "least", "made", "most", "nobody", "place", "said", "shown", "somebody", "told",
    "wanted", "who", "whoever", "whom", "whose",
}  # fmt: skip
BANNED_PARTS = {"longest", "most", "nobody", "somebody", "told", "whoever", "whom", "whose"}
DIALECT = re.compile(r"\b(anybody|everybody|nobody|somebody|told|whatever|whoever|whom)\b", re.IGNORECASE)

# Words of other programs and formats: attributes and keywords that are theirs.
FOREIGN_NAMES = {"maxlen"}


def test_class_names_are_unique() -> None:
    places = defaultdict(list)
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path.relative_to(ROOT).as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_identifiers_are_words_of_the_field(path: Path) -> None:
    bad = {
        name
        for name in _names(ast.parse(path.read_text(encoding="utf-8")))
        if name.strip("_").lower() in BANNED_NAMES or BANNED_PARTS & set(name.lower().split("_"))
    }
    assert bad - FOREIGN_NAMES == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_docstrings_and_comments_are_plain(path: Path) -> None:
    bad = [f"{line}: {text}" for line, text in _prose(path.read_text(encoding="utf-8")) if DIALECT.search(text)]
    assert bad == []


def test_modules_of_one_package_differ_by_more_than_an_ending() -> None:
    stems = defaultdict(set)
    for path in SOURCES:
        stem = re.sub(r"(ing|s|es|er|ed)$", "", path.stem)
        stems[path.parent, stem].add(path.stem)
    assert {key: names for key, names in stems.items() if len(names) > 1} == {}


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield the names that the code itself gives: of variables, parameters, functions, classes, attributes of self."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def _prose(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text
