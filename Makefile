# make demo    optimize the bundled handwritten-digit model; the results lie in demo/
# make test    everything that must pass: style, types, layers, tests
# PYTHON=...   the Python to use where several are installed (3.11 to 3.13)

SHELL := bash
PY := .venv/bin/python
DIGITS := src/sanderling/zoo/digits
JOBS ?= 2
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test test-tiny lint format setup-core setup-dev clean

help:
	@sed -n 's/^# //p' Makefile

demo: setup-core
	.venv/bin/sanderling optimize digits --samples digits --labels $(DIGITS)/labels.csv \
		--target cpu --max-drop 1% --time 2m -o demo/

test: setup-dev lint
	@tools/system-packages.sh
	@[[ -z "$${CI:-}" ]] || $(PY) tools/arm64_root.py  # elsewhere bundles are tried under emulation if it is there
	@[[ -z "$${CI:-}" ]] || $(PY) tools/phone_tools.py  # a compiler for Kotlin, and TFLite's C library
	$(PY) -m pytest -n $(JOBS)

# The house from end to end, small: under five seconds.
test-tiny: setup-dev
	$(PY) -m pytest -q tests/test_tiny.py

lint: setup-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports

format: setup-dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

setup-core:
	@tools/setup.sh

setup-dev:
	@tools/setup.sh dev

clean:
	rm -rf .venv demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests examples tools -name __pycache__ -type d -prune -exec rm -rf {} +
