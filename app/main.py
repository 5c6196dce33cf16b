"""create_app(): routers, middleware, error pages; nothing else."""

from fastapi import FastAPI
from starlette.middleware import Middleware

from app.console import api as console_api
from app.console import pages as console_pages
from app.console import settings_pages
from app.settings import settings
from app.web.assets import STATIC, Assets
from app.web.body_limit import BodyLimit
from app.web.errors import add_error_pages
from app.web.headers import SecurityHeaders
from app.web.health import router as health
from app.web.request_log import RequestLog

PAGES = (console_pages.router, settings_pages.router)
APIS = (console_api.router,)

DESCRIPTION = """Instruction-tuning data for code models, with people in charge of what gets in.

Send `Authorization: Bearer TOKEN`. Errors are `application/problem+json` (RFC 9457). Lists are keyset pages:
`{"items": [...], "next": cursor}`. Long work answers 202 with the `Location` of its run. A POST with an
`Idempotency-Key` is answered once; the same request again gets the same answer."""


def create_app() -> FastAPI:
    app = FastAPI(
        title="Breakwater",
        version="0.1.0",
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the usual page loads scripts from elsewhere; ours is in `console/pages.py`
        redoc_url=None,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(RequestLog),
            Middleware(BodyLimit, most_upload_bytes=settings().max_upload_mb * 2**20),
        ],
    )
    add_error_pages(app)
    for router in APIS:
        app.include_router(router)
    for router in (*PAGES, health):
        app.include_router(router, include_in_schema=False)
    app.mount("/static", Assets(directory=STATIC), name="static")
    return app
