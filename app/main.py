"""create_app(): routers, middleware, error pages; nothing else."""

import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.orm import configure_mappers
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from app.audit import api as audit_api
from app.audit import pages as audit_pages
from app.console import api as console_api
from app.console import model_pages, settings_pages
from app.console import pages as console_pages
from app.dashboard import api as dashboard_api
from app.dashboard import (
    cost_api,
    cost_pages,
    estimates_api,
    estimates_pages,
    judge_api,
    judge_pages,
    quality_pages,
)
from app.dashboard import pages as dashboard_pages
from app.discrimination import api as discrimination_api
from app.discrimination import pages as discrimination_pages
from app.discrimination import rule_api, rule_pages
from app.examples import api as examples_api
from app.examples import pages as examples_pages
from app.export import api as export_api
from app.export import pages as export_pages
from app.generation import api as generation_api
from app.generation import pages as generation_pages
from app.ingestion import api as ingestion_api
from app.ingestion import import_api, import_pages
from app.ingestion import pages as ingestion_pages
from app.prompts import api as prompts_api
from app.prompts import pages as prompts_pages
from app.review import (
    adjudication_pages,
    assign_pages,
    bulk_pages,
    draw_pages,
    instance_pages,
    label_api,
    label_pages,
    policy_pages,
)
from app.review import api as review_api
from app.review import pages as review_pages
from app.runs import api as runs_api
from app.runs import call_api, call_pages
from app.runs import pages as runs_pages
from app.runtime.desks import DESKS, RENDERERS
from app.runtime.logs import configure_logging
from app.runtime.rereaders import REREADERS
from app.selection import api as selection_api
from app.selection import pages as selection_pages
from app.settings import settings
from app.web.assets import STATIC, Assets
from app.web.body_limit import BodyLimit
from app.web.errors import add_error_pages
from app.web.headers import SecurityHeaders
from app.web.health import router as health
from app.web.request_log import RequestLog

PAGES = (
    review_pages,  # first, as addresses are tried in this order and no page is asked for as often
    dashboard_pages,
    quality_pages,
    judge_pages,
    cost_pages,
    estimates_pages,
    console_pages,
    model_pages,
    settings_pages,
    ingestion_pages,
    import_pages,
    selection_pages,
    generation_pages,
    prompts_pages,
    examples_pages,
    discrimination_pages,
    rule_pages,
    runs_pages,
    call_pages,
    bulk_pages,  # before the instances, where `bulk` would be read as a number
    assign_pages,  # likewise
    instance_pages,
    adjudication_pages,
    draw_pages,
    label_pages,
    policy_pages,
    audit_pages,
    export_pages,
)
APIS = (
    console_api,
    ingestion_api,
    import_api,
    selection_api,
    generation_api,
    prompts_api,
    examples_api,
    runs_api,
    call_api,
    review_api,
    label_api,
    dashboard_api,
    judge_api,
    cost_api,
    discrimination_api,
    rule_api,
    audit_api,
    estimates_api,
    export_api,
)

# Release files have checksums and ranges, events must not wait for more of them, and an API's client is a machine.
SENT_AS_IT_IS = (
    "application/*",
    "image/png",
    "text/csv",
    "text/event-stream",
    "text/markdown",
    "text/plain",
)

DESCRIPTION = """Instruction-tuning data for code models, with people in charge of what gets in.

Send `Authorization: Bearer TOKEN`. Errors are `application/problem+json` (RFC 9457). Lists are keyset pages:
`{"items": [...], "next": cursor}`. Long work answers 202 with the `Location` of its run. A POST with an
`Idempotency-Key` is answered once; the same request again gets the same answer."""


@asynccontextmanager
async def _while_serving(app: FastAPI) -> AsyncGenerator[None]:
    """Have the garbage collector leave alone what start-up made: it is never garbage, and walking it halts everybody."""
    configure_mappers()
    gc.collect()
    gc.freeze()
    yield


def create_app() -> FastAPI:
    configure_logging(settings().log_format)
    app = FastAPI(
        title="Breakwater",
        version="0.1.0",
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the usual page loads scripts from elsewhere; ours is in `console/pages.py`
        redoc_url=None,
        lifespan=_while_serving,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(RequestLog),
            # Pages, styles and scripts; level 1 takes half a millisecond for a card and saves three quarters of it.
            Middleware(GZipMiddleware, compresslevel=1, exclude_content_types=SENT_AS_IT_IS),
            Middleware(BodyLimit, most_upload_bytes=settings().max_upload_mb * 2**20),
        ],
    )
    app.state.desks, app.state.renderers, app.state.rereaders = DESKS, RENDERERS, REREADERS
    add_error_pages(app)
    for pages in PAGES:
        app.include_router(pages.router, include_in_schema=False)
    for api in APIS:
        app.include_router(api.router)
    app.include_router(health, include_in_schema=False)
    app.mount("/static", Assets(directory=STATIC), name="static")
    return app
