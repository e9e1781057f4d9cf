# Every target makes .venv on demand; nothing is installed outside it but the system packages that `make test` needs.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

.PHONY: run test coverage check crash demo bench bench-packages docs clean

# Serve in the foreground: make run ARGS="plug://127.0.0.1:7584"
run: .venv/.ready
	$(BIN)/anyplug serve $(ARGS)

# Everything that must hold: the checks, then the whole suite.
test: .venv/.ready
	scripts/system_packages.sh
	$(MAKE) --no-print-directory check
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

# The whole suite, and which lines and branches of the package it runs: half as long again.
coverage: .venv/.ready
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term $(ARGS)

# What needs no running code: seconds.
check: .venv/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/codespell

# Kill servers at random moments, N times in all, and check what they acknowledged.
N ?= 400
crash: .venv/.ready
	ANYPLUG_KILLS=$(N) $(BIN)/pytest -n 2 --timeout 0 tests/crash $(ARGS)

demo: .venv/.ready
	$(BIN)/python examples/demo.py $(ARGS)

# Measure everything beside its peers: make bench ARGS="--rounds 5". Who is not installed is left out.
bench: .venv/.bench
	$(BIN)/python -m benchmarks all $(ARGS)

# The system packages that only benchmarks use.
bench-packages:
	scripts/system_packages.sh requirements/debian-bench.txt

# Write the generated parts of the documentation anew.
docs: .venv/.ready
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist src/*.egg-info
	find src tests benchmarks examples docs -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.ready: requirements/runtime.txt requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) install -r requirements/runtime.txt -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.bench: requirements/bench.txt .venv/.ready
	$(PIP) install -r requirements/bench.txt
	@touch $@
