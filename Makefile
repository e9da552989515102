# Everything starts here; Python 3.11 or newer is all that must be there first.
# Each target makes .venv when it is missing and installs what constraints.txt pins.
PYTHON ?= python3
BIN := .venv/bin
CORE := .venv/.core
READY := .venv/.ready
INSTALL := -m pip install --quiet --disable-pip-version-check -c constraints.txt
CORE_ONLY := .venv-core

.DEFAULT_GOAL := help
.PHONY: help demo test test-core test-slow check types style notebooks fuzz kills bench train accuracy models docs site format clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(BIN)/python:
	@echo "making .venv and installing (once; the core alone is 430 MB, with every extra 7 GB) ..."
	@$(PYTHON) -m venv .venv

# The core: what running Twinpath needs, without torch.
$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/python $(INSTALL) -e .
	@touch $@

# Every extra and the development tools on top.
$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/python $(INSTALL) --no-compile -e '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/|/transformers/models/' .venv/lib || true  # on all cores
	@touch $(CORE) $@

demo: $(CORE)  ## Draw a clip, classify it, show the answer
	@$(BIN)/twinpath demo

test: $(READY)  ## Run every test but the slow ones
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

# The core and pytest in an environment of its own.
$(CORE_ONLY)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -m venv --clear $(CORE_ONLY)
	@$(CORE_ONLY)/bin/python $(INSTALL) -e . pytest
	@touch $@

test-core: $(CORE_ONLY)/.ready  ## Run tests/core with the core alone, without torch
	@! $(CORE_ONLY)/bin/python -c "import torch" 2> /dev/null || { echo "$(CORE_ONLY) has torch"; exit 1; }
	@$(CORE_ONLY)/bin/python -m pytest -q tests/core

test-slow: $(READY)  ## Run the tests that train and measure for minutes
	@$(BIN)/python -m pytest -m slow

check: types style site  ## Types, format, lint, import layering, public names, the site

types: $(READY)
	@$(BIN)/mypy

style: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/unit/test_public_names.py

notebooks: $(READY)  ## Run the notebooks of examples/notebooks in place, each with its seconds
	@$(BIN)/python -m scripts.run_notebooks

fuzz: $(READY)  ## Read N=10000 changed videos of SEED=1, and a fifth as many weights and texts; keep what fails
	@code=0; n=$(or $(N),10000); seed=$(or $(SEED),1); fifth=$$(( (n + 4) / 5 )); \
	$(BIN)/python -m tests.support.mutants --count $$n --seed $$seed --processes 2 || code=1; \
	$(BIN)/python -m tests.support.text_mutants --count $$fifth --seed $$seed --processes 2 || code=1; \
	$(BIN)/python -m tests.support.weight_mutants --count $$fifth --seed $$seed || code=1; \
	exit $$code

kills: $(READY)  ## Kill N=1000 commands of SEED=1 at random moments, run them again, compare
	@$(BIN)/python -m tests.support.kills --count $(or $(N),1000) --seed $(or $(SEED),1)

bench: $(READY)  ## Measure speed on this machine (ARGS='--peer', '--quick', '--only clip' …)
	@$(BIN)/python -m benchmarks $(ARGS)

train: $(READY)  ## Train the embedded model anew (under an hour on 2 cores)
	@$(BIN)/twinpath train slowfast_tiny

accuracy: $(READY)  ## Measure the embedded model on 1,000 fresh clips
	@$(BIN)/twinpath evaluate --clips 1000

models: $(READY)  ## Count what every network costs; write the tables and docs/models.md
	@$(BIN)/python scripts/write_model_tables.py

docs: $(READY)  ## Write docs/api/, schemas.md, errors.md and man/ from the code
	@$(BIN)/python -m scripts.write_api_reference
	@$(BIN)/python -m scripts.write_schemas
	@$(BIN)/python -m scripts.write_errors
	@$(BIN)/python -m scripts.write_man_page

site: $(READY)  ## Build the documentation as a site into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html; with its search: python3 -m http.server -d build/site"

format: $(READY)  ## Put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## Remove what was made here
	rm -rf .venv .venv-core build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
