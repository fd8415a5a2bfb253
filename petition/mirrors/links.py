"""Links inside a copy: relative to what is in it, else to the installation. No link is a path on another server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TAG = re.compile(r'<(a|img)((?:\s+[a-z]+="[^"]*")*)(\s*/?>)')
_PATH = re.compile(r'\b(href|src)="(/[^"]*)"')
_ALT = re.compile(r'\balt="([^"]*)"')


@dataclass(frozen=True, slots=True)
class CopyLinks:
    """``local`` maps paths of the installation to addresses inside the copy, pictures also to ``data:``."""

    base_url: str
    local: Mapping[str, str]

    def href(self, path: str) -> str:
        """Return where a link to a path of the installation leads from the copy."""
        if path in self.local:
            return self.local[path]
        page, mark, fragment = path.partition("#")
        target = self.local.get(page)
        if target is None:
            return self.base_url + path
        return target if "#" in target else target + mark + fragment

    def url(self, url: str | None) -> str | None:
        """Return the same for an absolute address, which may be of another site, or None."""
        if url is None or not url.startswith(f"{self.base_url}/"):
            return url
        return self.href(url.removeprefix(self.base_url))

    def html(self, html: str) -> str:
        """Return sanitized HTML with its paths rewritten; a picture that is not in the copy becomes its description."""
        return _TAG.sub(self._rewrite, html)

    def _rewrite(self, tag: re.Match[str]) -> str:
        name, attributes, end = tag.groups()
        if name == "img":
            source = _PATH.search(attributes)
            if source is None or source[2] not in self.local:
                alt = _ALT.search(attributes)
                return alt[1] if alt else ""
        return f"<{name}{_PATH.sub(self._attribute, attributes)}{end}"

    def _attribute(self, attribute: re.Match[str]) -> str:
        return f'{attribute[1]}="{self.href(attribute[2])}"'
