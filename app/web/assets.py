"""Static files: a query with the hash of their content lets browsers keep them for good."""

import hashlib
from functools import lru_cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = Path(__file__).resolve().parents[2] / "static"
FOR_GOOD = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"  # kept, but asked for with its ETag


def asset_url(name: str) -> str:
    """The address of a static file: `asset("app.css")`. A file that was not built yet has no hash."""
    file = STATIC / name
    if not file.is_file():
        return f"/static/{name}"
    return f"/static/{name}?v={_content_hash(file, file.stat().st_mtime_ns)}"


@lru_cache
def _content_hash(file: Path, modified_ns: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


class Assets(StaticFiles):
    """Starlette's files, with how long they may be kept."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200:
            versioned = scope["query_string"].startswith(b"v=")
            response.headers["Cache-Control"] = FOR_GOOD if versioned else ASK_EACH_TIME
        return response
