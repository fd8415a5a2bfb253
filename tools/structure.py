"""Print the figures of the layout: ``python tools/structure.py [CHECKOUT]``.

Files and lines of ``petition/``, what lies loose at its top, class names that stand twice, and the imports between its
folders: how many pairs, which of them form a circle.
"""

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path


def main() -> None:
    """Print the figures of the checkout in the first argument, or of this one."""
    root = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parents[1]) / "petition"
    sources = {path.relative_to(root): path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in sources.items()}
    classes = Counter(node.name for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    edges = {(_folder(path), target) for path, tree in trees.items() for target in _imported(tree)}
    edges = {(source, target) for source, target in edges if source != target}
    print(f"files: {len(sources)}")
    print(f"lines: {sum(text.count(chr(10)) for text in sources.values())}")
    print(f"longest file: {max(text.count(chr(10)) for text in sources.values())} lines")
    print(f"modules at the top: {sum(len(path.parts) == 1 for path in sources)}")
    print(f"class names that stand twice: {sorted(name for name, times in classes.items() if times > 1)}")
    print(f"imports between folders: {len(edges)}")
    print(f"folders in a circle: {sorted(_in_circles(edges))}")


def _folder(path: Path) -> str:
    """Return the room a file is in: its folder below ``petition/``, or itself where it lies at the top."""
    return path.parts[0].removesuffix(".py")


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "petition":
            parts = node.module.split(".")[1:]
            yield from [parts[0]] if parts else [alias.name for alias in node.names]


def _in_circles(edges: set[tuple[str, str]]) -> set[str]:
    """Return the folders that reach themselves over others."""
    targets = defaultdict(set)
    for source, target in edges:
        targets[source].add(target)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = targets[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    return {folder for folder in tuple(targets) if folder in reachable(folder)}


if __name__ == "__main__":
    main()
