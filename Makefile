# Every command of this repository. `make` alone, or `make help`, says what each does.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# The first interpreter that is new enough; python3.11 is what we test with.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
HOST ?= 127.0.0.1
DATA ?= ./data
export PORT HOST DATA KEEP TOKEN TORCH_INDEX TIER FEATURE

OPS = $(if $(PYTHON),exec $(PYTHON) -m ops,echo "Dovetail needs Python 3.11 or newer, and none was found: install python3.11 and python3.11-venv." >&2; exit 1;)

.PHONY: help up demo manage test lint shape without texts fuzz drill chaos bench services engines pins sbom audit containers clean

help: ## Lists these commands.
	@sed -n 's/^VERSION = "\(.*\)"/Dovetail \1/p' hub/about.py
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Runs a hub in the foreground [PORT= HOST=127.0.0.1 DATA=./data]; builds missing environments first; Ctrl-C stops it.
	@$(OPS) up --end-with-parent

demo: ## Pushes a small trained adapter, waits for its verdict, pulls and uses it [PORT= DATA= KEEP=1 TOKEN=].
	@$(OPS) demo

manage: ## Runs a management command on the hub's state: make manage ARGS="provision people.yml" [DATA= PORT=].
	@$(OPS) manage $(ARGS)

test: ## Builds environments and runs the tests of a tier [TIER=change, merge or night]; ARGS="tests/ops -k readyz" runs these.
	@$(OPS) test $(ARGS)

lint: ## Checks style, templates, types and the order of imports.
	@$(PYTHON) -m ops environments dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/djlint --quiet --check templates features
	.venv/bin/djlint --quiet --lint templates features
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/test_layers.py

shape: ## Measures the shape of the code: no number may rise; ARGS=--write keeps what fell in ops/shape.json.
	@$(OPS) shape $(ARGS)

without: ## Deletes FEATURE in a copy and checks the copy: Django, types, the core's tests [FEATURE=NAME or several with commas, all, each or touched; ARGS=tests].
	@$(OPS) without $(ARGS)

texts: ## Collects the texts of pages into locale/, and compiles the translations.
	@$(PYTHON) -m ops environments dev
	@.venv/bin/python -m tests.catalogues

fuzz: ## Fuzzes the readers of strangers' bytes [SECONDS=300 of each, ARGS="gguf xorb": these alone]; keeps what breaks one.
	@$(PYTHON) -m ops environments dev
	PYTHONPATH=.:client/src .venv/bin/python -m tests.fuzz $(or $(SECONDS),300) $(ARGS)

drill: ## Provokes each alarm of deploy/prometheus on a hub of its own, and waits for Prometheus [ARGS="DovetailNoWorker": it alone].
	@$(PYTHON) -m ops environments dev engines
	PYTHONPATH=.:client/src .venv/bin/python -m tests.drill $(ARGS)

chaos: ## Breaks a running production on purpose, under load: kills, cuts, full disks [ARGS="kill-web hang-*"; ARGS=-h lists them].
	@$(PYTHON) -m ops environments dev engines
	.venv/bin/python -m tests.chaos $(ARGS)

bench: ## Measures everything, or ARGS="engine speed" (ARGS=-h lists them): medians, ratios to the limit, .bench/*.json.
	@$(PYTHON) -m ops environments dev engines
	.venv/bin/python -m bench $(ARGS)

services: ## Installs PostgreSQL, Redis, Chromium, nginx and promtool by apt (as root) and the tests' Python packages; only what is missing.
	@$(OPS) services

engines: ## Builds the engine interpreters (.engines/), with the CPU build of torch if available; NAME=vllm, llama.cpp, mlx or diffusers: that one alone.
	@$(OPS) environments $(or $(NAME),engines)

pins: ## Resolves requirements.txt and requirements/*.txt again into the lock files, requirements/constraints*.txt.
	@$(OPS) pins

sbom: ## Writes a bill of materials of each lock file into sbom/ (CycloneDX, JSON), with hashes and licenses; needs no network.
	@$(PYTHON) -m ops environments dev
	@.venv/bin/python -m ops.sbom

audit: ## Asks PyPI for known vulnerabilities of every pinned release, but those in requirements/advisories.txt; red where it cannot.
	@$(PYTHON) -m ops environments dev
	@for lock in requirements/constraints*.txt; do echo "$$lock"; \
		.venv/bin/pip-audit --strict --no-deps --disable-pip -r $$lock \
			$$(sed -n 's/^\([A-Z][A-Za-z0-9-]*\) .*/--ignore-vuln \1/p' requirements/advisories.txt) || failed=1; done; exit $${failed:-0}

containers: ## Starts docker-compose.yml whole in Docker and uses it as people do; no part of `make test`: 10 GB of disk, 6 GB of memory.
	@$(PYTHON) -m ops environments dev
	.venv/bin/python -m pytest tests/containers/whole.py -x -s -p no:cacheprovider -p no:logging $(ARGS)

clean: ## Removes the environments and caches; DATA stays.
	rm -rf .venv .engines .mypy_cache .ruff_cache .pytest_cache .services
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
