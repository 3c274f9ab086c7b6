# Everything a person or a pipeline runs. Needs make, git and Python 3.11 or later; the rest is
# installed in $(VENV), and Debian packages for the tests where that is possible (see `test`).

PYTHON ?= python3
VENV ?= .venv
# The server root of `make run`; not called HOME, which is the shell's.
HOME_DIR ?= ./var

INSTALLED := $(VENV)/.installed
INSTALLED_FOR_TESTS := $(VENV)/.installed-for-tests
BIN := $(VENV)/bin
# The tests of one file stay together, for they share a server; files in the order of conftest.py.
IN_PARALLEL := --dist loadfile --no-loadscope-reorder --numprocesses
PROCESSORS := $(shell nproc)
# Those that start servers wait half of their time.
TWICE := $(shell expr 2 '*' $(PROCESSORS))

.DEFAULT_GOAL := help
.PHONY: help run test lint test-packages test-debian13 format bench-quick clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(INSTALLED) ## Serve mail on loopback from $(HOME_DIR), made on the first run
	@exec $(BIN)/mailfront quickstart --home "$(HOME_DIR)"

test: $(INSTALLED_FOR_TESTS) test-packages lint ## Install what the tests need, then run all checks and tests
	$(BIN)/pytest $(IN_PARALLEL) $(PROCESSORS) tests/unit
	$(BIN)/pytest $(IN_PARALLEL) $(TWICE) tests/integration
	$(BIN)/pytest $(IN_PARALLEL) $(TWICE) tests/interop

lint: $(INSTALLED_FOR_TESTS) ## Run ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict mailfront bench tests docs
	$(BIN)/lint-imports

test-packages: # the Debian packages of the tests' list, as far as this machine allows
	@tests/install-debian-packages tests/debian-packages.txt

test-debian13: $(INSTALLED_FOR_TESTS) ## Run the Dockerfile's steps and the quick tests in a Debian 13 tree (root)
	tests/debian13/run $(BIN)/python

format: $(INSTALLED_FOR_TESTS) ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-quick: $(INSTALLED) ## Measure the server's CPU and memory beside its peers, under a minute
	@tests/install-debian-packages bench/debian-packages.txt
	$(BIN)/python -m bench quick

clean: ## Remove what the other targets made, except a server root
	rm -rf $(VENV) build dist bench/results .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'mailfront needs Python 3.11 or later; name one with: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'this Python cannot make a virtual environment; on Debian: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --editable .
	@touch $@

$(INSTALLED_FOR_TESTS): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --editable '.[test]'
	@touch $@ $(INSTALLED)
