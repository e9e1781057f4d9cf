# Every target makes .venv on demand; nothing is installed outside it but the system packages that `make test` needs.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

.PHONY: run test coverage check crash crash-files cuts demo bench bench-packages docs clean

# Serve in the foreground: make run ARGS="--listen plug://127.0.0.1:7584"
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

# What may take longer than a test of the suite does.
LONG := --timeout 0 -o faulthandler_timeout=0

# Kill servers at random moments, N times in all, and check what they acknowledged.
N ?= 400
crash: .venv/.ready
	ANYPLUG_KILLS=$(N) $(BIN)/pytest -n 2 $(LONG) tests/crash $(ARGS)

# Send a file of SIZE MiB while its connection is cut CUTS times at random bytes and the server is killed KILLS times.
SIZE ?= 1024
CUTS ?= 100
KILLS ?= 20
crash-files: .venv/.ready
	ANYPLUG_FILE_SIZE=$(SIZE) ANYPLUG_FILE_CUTS=$(CUTS) ANYPLUG_FILE_KILLS=$(KILLS) \
		$(BIN)/pytest $(LONG) -rP tests/crash/test_file_kills.py $(ARGS)

# Cut sessions of ten kilobytes at every STRIDE-th byte, on either side, by FIN, RST and silence, with all of both
# programs, in memory and over sockets. With STRIDE=1 it takes ten minutes.
STRIDE ?= 1
cuts: .venv/.ready
	ANYPLUG_CUT_STRIDE=$(STRIDE) $(BIN)/pytest -n 2 --dist worksteal $(LONG) tests/outbox -k cut $(ARGS)

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
