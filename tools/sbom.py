"""Write the bill of materials of what runs, as CycloneDX JSON: ``make sbom`` puts it into ``dist/``.

From the pins in ``requirements.txt``: name, version and the hashes of all files of each package, and the product.
Nothing in it says where a package comes from. ``--check`` only sees that it can be made.
"""

import argparse
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from petition.core.version import version

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "dist" / "petition.cdx.json"
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)


def pins(requirements: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, version and SHA-256 hashes of each pinned package. Raises ``ValueError`` for one without."""
    for name, number, rest in _PIN.findall(requirements):
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", rest)
        if not hashes:
            raise ValueError(f"{name} has no hash")
        yield name, number, hashes


def bill() -> Bom:
    """Return the bill of this checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    product = Component(name=project["name"], version=version(), type=ComponentType.APPLICATION, bom_ref="product")
    product.licenses.add(LicenseExpression(project["license"]))
    bom = Bom()
    bom.metadata.component = product
    parts = {part.name: part for part in map(_component, pins((ROOT / "requirements.txt").read_text(encoding="utf-8")))}
    bom.components.update(parts.values())
    bom.register_dependency(product, [parts[name] for name in _direct(project["dependencies"])])
    return bom


def _component(pin: tuple[str, str, list[str]]) -> Component:
    name, number, hashes = pin
    url = PackageURL("pypi", name=name, version=number)
    files = [HashType(alg=HashAlgorithm.SHA_256, content=value) for value in hashes]
    # Each hash is that of one file of this version: for the source, or for one platform and Python.
    return Component(name=name, version=number, type=ComponentType.LIBRARY, purl=url, bom_ref=str(url), hashes=files)


def _direct(dependencies: list[str]) -> list[str]:
    return [re.sub(r"[-_.]+", "-", Requirement(text).name).lower() for text in dependencies if _applies(text)]


def _applies(text: str) -> bool:
    marker = Requirement(text).marker
    return marker is None or marker.evaluate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    is_check = parser.parse_args().check
    text = JsonV1Dot6(bill()).output_as_string(indent=2)
    if not is_check:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(text + "\n", encoding="utf-8")
        print(TARGET.relative_to(ROOT))


if __name__ == "__main__":
    main()
