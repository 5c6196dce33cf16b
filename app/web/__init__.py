"""HTTP plumbing without stage knowledge. Only `pages.py`, `api.py` and the entry point use it.

dependencies   the session of a request, the signed-in person, the project, roles
templating     `render`, and the filters that templates share
errors         domain errors -> status codes, as HTML or as problem+json
csrf           the token that every form carries
idempotency    `api_router`: a POST with an Idempotency-Key is answered once
pagination     keyset pages: `Page`, cursors
flash          one message for the next page
headers, body_limit, request_log, assets   around every request
"""
