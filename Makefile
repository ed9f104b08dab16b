# Everything a checkout can do. `make run` needs Python 3.11 or newer and, where none comes with
# the requirements (all but x86-64 Linux with Python 3.11 or 3.12), a redis-server; tests and checks set themselves up.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
# Twice quiet: errors only, without remarks about the configuration of the machine.
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
# Recipes shared with a parent make must not pass its flags on to the programs they start.
MAKEFLAGS += --no-print-directory

.PHONY: help setup run test test-fast check fix bench pictures soak lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 19

setup: $(VENV)/.ready-dev ## Create .venv with all that running and testing need
	@:

run: $(VENV)/.ready-run ## Start Redis, two workers, the gateway and the console; Ctrl-C stops all
	@exec $(BIN)/python -m core.launcher

# Most tests wait for servers and processes, so they are spread over three processes (see tests/conftest.py).
test: setup ## Run all tests
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-fast: setup ## Most tests in a fraction of the time: no browser, no faults
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder \
	  -m "not e2e and not faults and not slow and not soak and not pictures"

check: setup ## Formatting, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy core workers pages app.py

fix: setup ## Format, and mend what lint can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## Measure what docs/architecture.md says about speed
	@$(BIN)/python -m benchmarks

pictures: setup ## Pictures of every page, state, width and theme, into tests/e2e/screenshots
	@$(BIN)/python -m pytest tests/e2e/test_pictures.py tests/e2e/test_story.py tests/e2e/test_login.py -m "pictures or browser"

soak: setup ## Hours of load with a fault a minute (ENCORE_SOAK_MINUTES, default 480)
	@$(BIN)/python -m pytest -m soak

lock: setup ## Resolve requirements*.in again into the pinned lists, for all platforms, with hashes
	@$(PIP) install uv
	@$(BIN)/uv pip compile $(LOCK) requirements.in --output-file requirements.txt
	@$(BIN)/uv pip compile $(LOCK) requirements-dev.in --output-file $(VENV)/requirements-dev.txt
	@{ echo "-r requirements.txt"; grep -vxFf requirements.txt $(VENV)/requirements-dev.txt; } > requirements-dev.txt
LOCK := --quiet --upgrade --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --no-emit-index-url

clean: ## Remove the environment and caches; keeps the data in .encore
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The stamps make a second call free; they are older than their list when a pin has changed.
$(VENV)/.ready-dev: $(VENV)/.ready-run requirements-dev.txt
	@echo "installing what tests and checks need into $(VENV)"
	@$(PIP) install -r requirements-dev.txt
	@touch $@

$(VENV)/.ready-run: $(VENV)/.created requirements.txt
	@echo "installing requirements.txt into $(VENV) (first time: a minute or two)"
	@$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.created:
	@for python in "$$PYTHON" python3 python3.12 python3.11 python3.13 python; do \
	  [ -n "$$python" ] || continue; \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  "$$python" -m venv $(VENV) && touch $@ && exit 0; \
	  echo "$$python made no environment here, see above (where Debian lacks the module: apt install python3-venv)" >&2; exit 1; \
	done; \
	echo "Encore needs Python 3.11 or newer and found none. Install it, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	exit 1
