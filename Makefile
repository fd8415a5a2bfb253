# What CI runs is a target that anyone can run. Needs python3 (3.11 or newer), make, and nothing else.
# Each target's help is the comment behind it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test install lint audit sbom fuzz format bench siege forge cluster messages requirements clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
SCRIPTS_AND_STYLES := petition/static petition/web/embeds
# Options for pytest, e.g. make test ARGS="-n 0 -x -k csv" (-n 0: in one process)
ARGS ?=

help: ## this text
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## (.*)/  make \1	\2/' | expand -t 22

demo: $(VENV)/installed ## try everything on this machine; Ctrl-C stops it
	@exec $(BIN)/petition demo

install: $(VENV)/installed ## .venv with the pinned requirements; .venv/bin/petition is then the command

# One process more than there are cores: browsers leave a core idle while they wait.
test: $(VENV)/equipped ## all tests, the browser's among them
	@sh tools/curl.sh && sh tools/servers.sh && sh tools/go.sh && CHROMIUM="$$(sh tools/chromium.sh)" && export CHROMIUM && \
	HEADLESS_SHELL="$$(sh tools/chromium.sh shell)" && export HEADLESS_SHELL && \
	VNU_JAR="$$(sh tools/vnu.sh)" && export VNU_JAR && \
	WORKERS="$$($(BIN)/python -c 'import os; print(1 + (os.cpu_count() or 1))')" && \
	exec $(BIN)/python -m pytest -n "$$WORKERS" --dist loadfile --no-loadscope-reorder --durations 10 $(ARGS)

lint: $(VENV)/equipped ## format, lint, types, import contracts, known vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/oxfmt --config=tools/oxfmt.json --check $(SCRIPTS_AND_STYLES)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/sbom.py --check
	$(BIN)/python tools/audit.py

audit: $(VENV)/equipped ## look the pinned packages up in the public advisories
	$(BIN)/python tools/audit.py

sbom: $(VENV)/equipped ## the bill of materials, CycloneDX JSON in dist/
	$(BIN)/python tools/sbom.py

# Seconds for each target, e.g. make fuzz SECONDS=600 ARGS="-k markdown"
SECONDS ?= 60

fuzz: $(VENV)/equipped ## feed every parser odd input for a while
	FUZZ_SECONDS=$(SECONDS) $(BIN)/python -m pytest -n 0 -p no:cacheprovider tests/fuzz $(ARGS)

format: $(VENV)/equipped ## put the code into the one format
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .
	$(BIN)/oxfmt --config=tools/oxfmt.json --write $(SCRIPTS_AND_STYLES)

bench: $(VENV)/equipped ## measure; prints a table, writes JSON to bench-results/
	$(BIN)/python -m tests.bench $(ARGS)

siege: $(VENV)/equipped ## honest visitors' success and time under the recipes of attackers
	$(BIN)/python -m tests.bench.siege $(ARGS)

forge: $(VENV)/equipped ## forge signatures on this machine; prints what that costs
	$(BIN)/python -m tests.forge $(ARGS)

cluster: $(VENV)/equipped ## break machines of a cluster (network namespaces; as root); prints a table
	@sh tools/cluster.sh && exec $(BIN)/python -m tests.cluster $(ARGS)

messages: $(VENV)/equipped ## bring the catalogues up to date with the sources
	$(BIN)/python tools/messages.py

requirements: $(VENV)/equipped ## pin the newest versions that pyproject.toml allows
	$(BIN)/python tools/requirements.py

clean: ## remove what was made here, except the demo's data (.petition)
	rm -rf $(VENV) dist build bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find petition tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# Files that say how far .venv is, so that a second time takes no time.
$(VENV)/made:
	@sh tools/venv.sh $(PYTHON) $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/made requirements.txt pyproject.toml
	$(PIP) install --quiet --require-hashes -r requirements.txt
	$(PIP) install --quiet --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/equipped: $(VENV)/installed requirements-dev.txt
	$(PIP) install --quiet --require-hashes -r requirements-dev.txt
	@touch $@
