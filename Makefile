# Two commands: `make repro` runs the pipeline, `make test` the tests. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
SHELL := /bin/bash
# DVC starts stages with the `python` that PATH finds.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
# Text is UTF-8, whatever the locale; and what programs print is read in English.
export PYTHONUTF8 := 1
export LC_MESSAGES := C
# A virtual environment holds its own place, and this is where it was made; where it is a link, it is another project's.
PLACE := $(shell test -L $(VENV) || cat $(VENV)/installed 2>/dev/null)

# Taken from make's command line alone: some systems have a NAME in every environment.
OWN_OPTIONS := NAME KIND TEXT LABEL VALUE INPUTS HORIZON WINDOW BUDGET
OWN_UNKNOWN = $(filter-out FILE PYTHON $(OWN_OPTIONS),$(foreach word,$(MAKEOVERRIDES),$(if $(findstring =,$(word)),$(firstword $(subst =, ,$(word))))))

.DEFAULT_GOAL := help
.PHONY: help setup moved repro own test faults audit benchmarks lint ui full clean

help: ## Say what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 8

# The user's own settings of pip may name another place to install to. An empty prefix is this folder to some pips.
$(VENV)/installed: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-user --target= \
		--prefix='$(CURDIR)/$(VENV)' --root=/ -r constraints.txt
	@echo "compiling what trains the cells, once for all clones: a minute or less" >&2
	@$(VENV)/bin/python -m stages.compile || echo "then it is compiled when it is first used" >&2
	@echo '$(CURDIR)' > $@

setup: moved $(VENV)/installed ## Make .venv and install the pinned packages into it

moved:
ifneq ($(PLACE),)
ifneq ($(PLACE),$(CURDIR))
	@echo "$(VENV) was made in $(PLACE): its programs now find this place"
	@grep -rIlF --null '$(PLACE)/$(VENV)' $(VENV)/bin $(VENV)/pyvenv.cfg | \
		xargs -0 sed -i.moved 's|$(PLACE)/$(VENV)|$(CURDIR)/$(VENV)|g'
	@rm -f $(VENV)/bin/*.moved $(VENV)/pyvenv.cfg.moved
	@touch -r $(VENV)/installed $(VENV)/place && echo '$(CURDIR)' > $(VENV)/installed && \
		touch -r $(VENV)/place $(VENV)/installed && rm $(VENV)/place
endif
endif

repro: setup ## Run the whole pipeline (profile of params.yaml), then print tables, verdicts and where the report is
	@python -m stages.mend
	dvc repro
	@python -m stages.show
	@python -m stages.track || echo "the results above stand; only MLflow has not all of them" >&2

own: setup ## LSTM or GRU on your own data: make own FILE=reviews.csv (docs/own-data.md)
	@test -n "$(FILE)" || { echo "usage: make own FILE=reviews.csv [$(foreach option,$(OWN_OPTIONS),$(option)=)]" >&2; exit 2; }
	@$(if $(OWN_UNKNOWN),echo "unknown: $(OWN_UNKNOWN); known are FILE= $(foreach option,$(OWN_OPTIONS),$(option)=)" >&2; exit 2)
	@python -m stages.mend
	@python -m stages.own "$(FILE)" $(foreach option,$(OWN_OPTIONS),$(if $(findstring command,$(origin $(option))),"$(option)=$($(option))"))

test: setup ## Run the tests, linters included, on all cores
	python -m pytest -n auto

faults: setup ## Inject faults by the thousand, and write docs/reliability.md: make faults PARTS="params kills"
	python -m tests.faults $(PARTS)

# In an environment of its own, with nothing of the project. What no database could be asked about is a failure.
audit: ## Look up known vulnerabilities of the pinned packages; AUDIT="--vulnerability-service osv" asks another database
	@test -x $(VENV)-audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)-audit && \
		$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	$(VENV)-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict $(AUDIT)

# The names are those of the commands in benchmarks/README.md. No stages of DVC: `dvc status` would never be clean.
benchmarks: setup ## Time this project against its peers on this machine, half an hour: make benchmarks NAMES="replicas imdb_engines"
	@for name in $(or $(NAMES),$(shell sed -nE 's/^\| `python -m benchmarks\.([a-z_]+)`.*/\1/p' benchmarks/README.md)); do \
		echo "$$name" && python -m benchmarks.$$name || exit; done

lint: setup ## Lint, check the format and the types
	ruff check .
	ruff format --check .
	mypy

ui: setup ## Start MLflow on this pipeline's runs, at http://127.0.0.1:5000
	@python -m stages.track --ui

full: setup ## Run the full protocol on the real corpus into the record: make full STUDY=imdb CELL=gru REPEATS=0-2
	@test -n "$(STUDY)" -a -n "$(CELL)" || { echo "usage: make full STUDY=imdb CELL=gru REPEATS=0-2 SET='dropout=0.3'" >&2; exit 2; }
	@python -m stages.mend
	python -m stages.record $(STUDY) $(CELL) $(or $(REPEATS),0-2) $(SET)

clean: ## Remove checkpoints of abandoned runs; results and the DVC cache stay
	rm -rf checkpoints
