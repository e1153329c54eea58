# FlexKit. `make bench` on a bare Debian 12 or 13 does everything; `make test` is what CI runs.
FLEXKIT := .venv/bin/flexkit
PYTHON := .venv/bin/python
BOARD ?= qemu-virt
REPORT := reports/tests
PYTEST := $(PYTHON) -m pytest --html=$(REPORT)/index.html --self-contained-html --junitxml=$(REPORT)/junit.xml

.PHONY: help setup build bench test lint oracle nightly clean
help:
	@echo 'make setup    install what is missing on this machine, and flexkit into .venv'
	@echo 'make bench    build, flash the emulated board, measure: reports/latest/index.html'
	@echo 'make test     everything that CI runs: reports/tests/index.html'
	@echo 'make lint     ruff, mypy, C layout'
	@echo 'make oracle   the engine against llama.cpp (compiles it: ten minutes)'
	@echo 'make nightly  the tests with 1,000 flash cycles, 10,000 rounds of the soak, ten minutes of fuzzing, all hardware boards built, and the oracle'
	@echo 'make clean    remove what this checkout made (the cache: flexkit cache prune)'

setup:
	@toolkit/flexkit/setup.sh

build: setup
	$(FLEXKIT) build -b $(BOARD) --flavour all

bench: setup
	$(FLEXKIT) build -b $(BOARD) --flavour all
	$(FLEXKIT) flash -b $(BOARD)
	$(FLEXKIT) bench -b $(BOARD) --suite quick

# One pytest run, quick tests first, so that one report holds everything.
test: setup
	@mkdir -p $(REPORT)
	$(PYTEST) tests/unit tests/firmware tests/system

lint: setup
	$(PYTHON) -m pytest -q tests/unit/project/test_lint.py

oracle-setup: setup
	toolkit/flexkit/setup.sh --packages g++
	PIP_CONSTRAINT=toolkit/constraints.txt .venv/bin/pip install -q -e '.[oracle]'

oracle: oracle-setup
	$(PYTHON) -m pytest tests/oracle

nightly: oracle-setup
	@mkdir -p $(REPORT)
	FLEXKIT_CYCLES=1000 FLEXKIT_ROUNDS=10000 FLEXKIT_FUZZ_SECONDS=600 $(PYTEST) tests/unit tests/firmware tests/system tests/hardware tests/oracle
	$(FLEXKIT) bench -b $(BOARD) --suite switch --clock virtual
	$(FLEXKIT) bench -b $(BOARD) --suite ttft --clock virtual

clean:
	rm -rf build dist reports/latest reports/tests .pytest_cache .mypy_cache .ruff_cache
