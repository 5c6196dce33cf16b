"""How large a request may be: uploads go to disk and may be large, everything else is held in memory."""

from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

MOST_BYTES = 10 * 2**20


class BodyLimit:
    """Answers 413 as soon as the announced or the read length is beyond the limit. Lengths in bytes."""

    def __init__(self, app: ASGIApp, most_upload_bytes: int) -> None:
        self._uploads = RequestBodyLimitMiddleware(app, max_body_size=most_upload_bytes)
        self._others = RequestBodyLimitMiddleware(app, max_body_size=MOST_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and Headers(scope=scope).get("Content-Type", "").startswith(
            "multipart/form-data"
        )
        await (self._uploads if is_upload else self._others)(scope, receive, send)
