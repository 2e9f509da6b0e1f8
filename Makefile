# Every target sets up what it needs in .venv. All it takes is make and
# Python 3.11 or newer; another Python than python3: make PYTHON=python3.12 test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m

# ruff reads no setup.cfg, so these flags are where its settings live.
RUFF_FLAGS := --isolated --target-version py311 --line-length 88
# B bugbear, C4 comprehensions, I import order, PT pytest, UP modern syntax. Left out:
# PT018 (pytest shows which half of an `and` failed), RUF001-RUF003 (Greek letters are
# meant), RUF022 (__all__ is grouped by subject).
RUFF_RULES := --select E,F,W,B,C4,I,PT,RUF,UP \
  --ignore PT018,RUF001,RUF002,RUF003,RUF022

# A process of tests for each processor, and so no second thread for BLAS in any.
PYTEST := OPENBLAS_NUM_THREADS=1 $(RUN) pytest --numprocesses auto --dist worksteal

# A warning is an error; every page is read and every notebook run, two at a time.
SPHINX_FLAGS := --fail-on-warning --keep-going --fresh-env --jobs 2

# Two pips at work in one environment would spoil it.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo docs notebooks test test-all bench lint types format clean FORCE

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  make \1@\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | awk -F@ '{ printf "%-16s %s\n", $$1, $$2 }'

demo: $(VENV)/.installed ## train the lecture's networks, write pictures to demo/
	$(BIN)/tinygrad-edu lecture --out demo

notebooks: $(VENV)/.installed-notebooks ## make a notebook of each example, in notebooks/
	$(BIN)/python tools/example_notebooks.py

docs: $(VENV)/.installed-docs ## build the site in docs/_build/html
	$(RUN) sphinx $(SPHINX_FLAGS) -d docs/_build/trees docs docs/_build/html

test: $(VENV)/.installed-test ## run the tests and docstring examples but the slow
	$(PYTEST)

test-all: test $(VENV)/.installed-test-all ## run the tests, then the slow ones too
	$(PYTEST) -m slow || [ $$? -eq 5 ] # 5: there are no slow tests

bench: $(VENV)/.installed-bench ## measure against peers, write docs/benchmarks.md
	$(BIN)/python tests/benchmarks/bench.py --write

lint: $(VENV)/.installed-dev ## check style and formatting with ruff
	$(RUN) ruff check $(RUFF_FLAGS) $(RUFF_RULES) .
	$(RUN) ruff format $(RUFF_FLAGS) --check .

types: $(VENV)/.installed-dev ## check the types with mypy
	$(RUN) mypy

format: $(VENV)/.installed-dev ## sort the imports, fix what ruff can, format
	$(RUN) ruff check $(RUFF_FLAGS) $(RUFF_RULES) --fix-only .
	$(RUN) ruff format $(RUFF_FLAGS) .

clean: ## remove all that make has made, .venv too
	rm -rf $(VENV) build dist demo notebooks docs/_build *.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per extra of setup.cfg; a change of the settings installs again.
$(VENV)/.installed: $(VENV)/pyvenv.cfg setup.cfg pyproject.toml
	$(RUN) pip install --editable .
	touch $@

$(VENV)/.installed-%: $(VENV)/pyvenv.cfg setup.cfg pyproject.toml
	$(RUN) pip install --editable '.[$*]'
	touch $@

# Made anew, too, when the Python that it links to is gone.
$(VENV)/pyvenv.cfg: $(if $(shell test -x $(BIN)/python && echo there),,FORCE)
	@command -v $(PYTHON) >/dev/null || { echo >&2 \
	  "$(PYTHON): not found. Name a Python >= 3.11: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 \
	  "$(PYTHON) is $$($(PYTHON) -V 2>&1), too old. Name a Python >= 3.11: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo >&2 \
	  "$(PYTHON) lacks venv or ensurepip. Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
