# Two commands matter: `make demo` and `make test`. Each makes its own virtual environment in .venv and installs what
# it needs; both are quick when that is up to date. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# The interpreter to make .venv with; by default the first on the path that is new enough.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
RESULTS := build/results
HOW_PACKAGED := setup.cfg pyproject.toml scripts/make_venv

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export COVERAGE_FILE = $(CURDIR)/build/coverage

.PHONY: help
help: ## list these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

# Environments

$(VENV)/run.stamp: $(HOW_PACKAGED)
	@scripts/make_venv $(VENV) "$(PYTHON)"
	@echo "installing powercoord into $(VENV)"
	@$(BIN)/python -m pip install --quiet --quiet --editable .
	@touch $@

$(VENV)/dev.stamp: $(HOW_PACKAGED)
	@scripts/make_venv $(VENV) "$(PYTHON)"
	@echo "installing powercoord and what its tests need into $(VENV)"
	@$(BIN)/python -m pip install --quiet --quiet --editable '.[test,lint,docs]'
	@touch $(VENV)/run.stamp $@

.PHONY: venv peers
venv: $(VENV)/dev.stamp ## make .venv with everything for work on powercoord

peers: ## install the programs that the tests talk to (root on Debian), or say what is skipped
	@scripts/install_peers

# For users

.PHONY: demo
demo: $(VENV)/run.stamp ## power on a hundred simulated machines through a real coordinator
	@$(BIN)/powercoord demo

# For authors

.PHONY: test checks quiet-checks
test: venv peers ## everything that must hold before a change lands
	@rm -rf $(RESULTS)
	@mkdir -p $(RESULTS)
	@echo "half of the tests with real peers first; all else runs beside them, and is told after them"
	@make='$(MAKE) --no-print-directory --keep-going'; status=0; \
	scripts/side_by_side "$$make functional-1" "$$make functional-2" "$$make quiet-checks" || status=$$?; \
	$(BIN)/python scripts/tally.py $(RESULTS) unit functional-1 functional-2 fixtures && exit $$status

checks: quiet-checks functional

# What needs no peers, and mostly a processor.
quiet-checks: lint types news docs unit

.PHONY: lint types news format
lint: venv ## style, with ruff
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "not formatted: run 'make format'"; exit 1; }

types: venv ## types, with mypy
	@$(BIN)/mypy

news: venv ## that the next release's news can be written from changelog.d
	@$(BIN)/towncrier build --draft > /dev/null 2>&1 || $(BIN)/towncrier build --draft

format: venv ## format the code, and mend what ruff can mend safely
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

.PHONY: docs
docs: venv ## the documentation, in build/docs
	@$(BIN)/python -m sphinx --fail-on-warning --nitpicky --keep-going --quiet -d build/doctrees docs build/docs

.PHONY: unit functional functional-1 functional-2 long
unit: venv ## tests on a virtual clock, with branch coverage
	@mkdir -p $(RESULTS)
	@status=0; \
	$(BIN)/coverage run scripts/run_trial.py --result $(RESULTS)/unit.json --without tests.functional tests || status=1; \
	$(BIN)/coverage report || status=1; \
	exit $$status

functional: venv ## tests with real sockets and peers
	@mkdir -p $(RESULTS)
	@status=0; \
	$(BIN)/python scripts/run_trial.py --result $(RESULTS)/functional.json tests.functional || status=1; \
	$(BIN)/python scripts/run_pytest.py --result $(RESULTS)/fixtures.json tests/functional || status=1; \
	exit $$status

# What `make test` does instead: two runs at once, and whichever is free takes the next module.
functional-1: venv
	@$(BIN)/python scripts/run_trial.py --result $(RESULTS)/functional-1.json --share $(RESULTS)/begun tests.functional

functional-2: venv
	@status=0; \
	$(BIN)/python scripts/run_trial.py --result $(RESULTS)/functional-2.json --share $(RESULTS)/begun tests.functional \
	    || status=1; \
	$(BIN)/python scripts/run_pytest.py --result $(RESULTS)/fixtures.json tests/functional || status=1; \
	exit $$status

long: venv ## the property tests, searching for minutes instead of seconds
	@mkdir -p $(RESULTS)
	@POWERCOORD_HYPOTHESIS=long $(BIN)/python scripts/run_trial.py --result $(RESULTS)/long.json \
	    --limit 0 --without tests.functional tests

.PHONY: long-peers
long-peers: venv ## DMTF's slow judges of the simulated Redfish service: a minute, mostly waiting
	@mkdir -p $(RESULTS)
	@$(BIN)/python scripts/run_trial.py --result $(RESULTS)/long-peers.json --limit 0 tests.functional.long_redfish_peers

.PHONY: crashtest
crashtest: venv peers ## kill the service at every write and at 200 random moments: a quarter of an hour
	@mkdir -p $(RESULTS)
	@$(BIN)/python -m tests.crash --result $(RESULTS)/crash.json

.PHONY: bench
bench: venv peers ## measure, side by side with the peers
	@$(BIN)/python -m benchmarks

.PHONY: news-release wheel
news-release: venv ## move changelog.d into CHANGELOG.rst
	@$(BIN)/towncrier build --yes

wheel: venv ## build the wheel and the source archive, in dist
	@$(BIN)/python -m build --outdir dist .

.PHONY: clean distclean
clean: ## remove what the targets above made, except .venv
	@rm -rf build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache _trial_temp* \
	    twisted/plugins/dropin.cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

distclean: clean ## remove .venv too
	@rm -rf $(VENV)
