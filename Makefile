# Two commands: `make repro` runs the pipeline, `make test` the tests. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
SHELL := /bin/bash
# DVC starts stages with the `python` that PATH finds.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup repro test lint ui full clean

help: ## Say what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 8

$(VENV)/installed: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r constraints.txt
	@touch $@

setup: $(VENV)/installed ## Make .venv and install the pinned packages into it

repro: setup ## Run the whole pipeline (profile of params.yaml), then print tables, verdicts and where the report is
	dvc repro
	@python -m stages.track || true # a store that is away costs a line, not the tables
	@python -m stages.show

test: setup ## Run the tests, linters included
	python -m pytest

lint: setup ## Lint, check the format and the types
	ruff check .
	ruff format --check .
	mypy

ui: setup ## Start MLflow on this pipeline's runs, at http://127.0.0.1:5000
	@python -m stages.track --ui

full: setup ## Run the full protocol on the real corpus into the record: make full STUDY=imdb CELL=gru REPEATS=0-2
	@test -n "$(STUDY)" -a -n "$(CELL)" || { echo "usage: make full STUDY=imdb CELL=gru REPEATS=0-2 SET='dropout=0.3'" >&2; exit 2; }
	python -m stages.record $(STUDY) $(CELL) $(or $(REPEATS),0-2) $(SET)

clean: ## Remove checkpoints of abandoned runs; results and the DVC cache stay
	rm -rf checkpoints
