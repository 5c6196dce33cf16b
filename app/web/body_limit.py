"""How large a request may be: uploads go to disk and may be large, everything else is held in memory."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.errors import Refusal, answer

MOST_BYTES = 10 * 2**20


class BodyLimit:
    """Answers 413 as soon as the announced or the read length is beyond the limit. Lengths in bytes."""

    def __init__(self, app: ASGIApp, most_upload_bytes: int) -> None:
        self.app = app
        self.most_upload_bytes = most_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_upload = headers.get("Content-Type", "").startswith("multipart/form-data")
        most = self.most_upload_bytes if is_upload else MOST_BYTES
        too_large = f"this request may have at most {most:,} bytes"
        announced = headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > most:
            await answer(Request(scope), Refusal(413, too_large))(scope, receive, send)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, too_large)
            return message

        await self.app(scope, receive_counted, send)
