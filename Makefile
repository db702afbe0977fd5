# seestream: every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
PY := $(VENV)/bin/python
EXPORT_VENV ?= .env-export
SEED ?= 20260
SCENES ?= 2000
ARGS ?=
STAMP := $(VENV)/.ready-$(shell cat requirements/dev.txt pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench services faults parity export-env eval schema clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: $(STAMP)  ## a .venv with everything that demo, test and check need

$(STAMP):
	@test -n "$(PYTHON)" || { echo "seestream needs Python 3.11 or newer on the PATH (or: make PYTHON=/path/to/python3.12)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "seestream needs Python 3.11 or newer: $(PYTHON) is $$($(PYTHON) -V 2>&1)"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) || { echo "cannot create $(VENV): is the folder writable, and python3-venv installed?"; exit 1; }
	@$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.ready-*; touch $@

demo: setup  ## see it work: a synthetic camera, everything embedded (ARGS="--seconds 30")
	@$(PY) -m stream demo $(ARGS)

test: setup  ## all tests; Kafka and Weaviate are obtained and started where Java, Maven and Go exist (ARGS="tests/gate")
	@$(PY) -m pytest $(ARGS)

check: setup  ## style, types, import rules, generated documents
	@$(PY) -m ruff format --check -q . && $(PY) -m ruff check -q . && $(PY) -m mypy && $(PY) -m pytest tests/test_layout.py tests/test_docs.py

format: setup  ## apply the style
	@$(PY) -m ruff format -q . && $(PY) -m ruff check -q --fix .

bench: setup  ## the figures of the README (ARGS=demo, gate_lab, models, delivery, ...)
	@$(PY) -m bench $(ARGS)

services: setup  ## obtain a real Kafka and a real Weaviate, start them on loopback, wait until ready
	@$(PY) -m tests.services up

faults: setup  ## the fault suite on real servers (ARGS="--only sigkill --records 10000 --seed 1")
	@$(PY) -m tests.faults $(ARGS)

eval: setup  ## score the bundled models on fresh scenes (SEED=, SCENES=)
	@$(PY) -m models.eval --seed $(SEED) --scenes $(SCENES)

export-env: $(EXPORT_VENV)/.ready  ## an environment with torch, for export and parity (5 GB)

$(EXPORT_VENV)/.ready: requirements/export.txt
	@test -x $(EXPORT_VENV)/bin/python || $(PYTHON) -m venv $(EXPORT_VENV)
	@$(EXPORT_VENV)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/export.txt
	@touch $@

parity: export-env  ## compare the runtime with transformers, live; proves the committed goldens
	@HF_HUB_OFFLINE=1 $(EXPORT_VENV)/bin/python -m models.parity $(ARGS)

schema: setup  ## write the AsyncAPI document and the JSON Schemas that are generated from the code
	@$(PY) -m stream schema --write docs

clean:  ## remove what was made here (environments included)
	@rm -rf $(VENV) $(EXPORT_VENV) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
