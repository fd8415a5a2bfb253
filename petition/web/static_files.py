"""The static files. An address with a digest (``?v=``) is cached by browsers for a year."""

from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from petition.core.templates import STATIC


class Static(StaticFiles):
    def __init__(self) -> None:
        super().__init__(directory=STATIC, check_dir=False)

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        has_digest = scope["query_string"].startswith(b"v=")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if has_digest else "no-cache"
        return response
