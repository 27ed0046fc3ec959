# The one list of what can be done here; `make` alone prints it. Works with GNU make 3.81 and later, which
# is what macOS has.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
CODE := fedscore privacy clients server simulations benchmarks

# Nothing that runs here reports to anybody.
export FLWR_TELEMETRY_ENABLED = 0
export FLWR_DISABLE_UPDATE_CHECK = 1
export RAY_USAGE_STATS_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help install demo test check slow soak loopback bench paper clean

help: ## list what can be done
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## make .venv and install everything into it; at once if nothing changed

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "fedscore needs Python 3.11 or later, and '$(PYTHON)' is `$(PYTHON) -V 2>&1`:" >&2; \
	  echo "name another one, as in: make install PYTHON=python3.11" >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[all,dev]'
	@touch $@

demo: install ## train one card over an invented consortium, and report
	$(BIN)/fedscore demo

test: install ## run the tests, but for the slow ones
	$(BIN)/pytest -n auto -q

check: install ## format, lint, types, layers, tests with coverage, doctests, documents: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto -q --cov --cov-report=term:skip-covered

slow: install ## run the tests that take minutes, or real processes
	$(BIN)/pytest -m slow -v

soak: install ## kill real processes at random for half an hour, resume, and audit every file; SEED=… repeats
	$(BIN)/python -m tests.soak $(if $(SEED),--seed $(SEED))

loopback: install ## train over real Flower processes on this machine, with TLS and node keys
	$(BIN)/python -m simulations.loopback

bench: install ## measure encrypted sums beside stock phe, forty rounds of them, and online scoring; takes half an hour
	$(BIN)/python -m benchmarks.encrypted_sums
	$(BIN)/python -m benchmarks.neural_rounds
	$(BIN)/python -m benchmarks.online_scoring
	$(BIN)/python -m benchmarks.batch_scoring

paper: install ## make the tables of docs/accuracy.md and docs/guide-researcher.md again; takes an hour
	$(BIN)/python -m simulations.paper

clean: ## remove what was built here, .venv included; results in runs/ stay
	rm -rf .venv build dist htmlcov *.egg-info .coverage .coverage.*
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(CODE) tests -name __pycache__ -type d -prune -exec rm -rf {} +
