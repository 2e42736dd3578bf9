# `make demo` and `make test` set up all that they need, in .venv and .cache.

PYTHON ?= python3
BIN := .venv/bin
# PYTHONWARNINGS: setuptools warns of every editable installation.
PIP := PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-quick check bench mutants plugin clean

demo: .venv/.installed
	$(BIN)/mission-control demo

test: .venv/.tests
	command -v npm >/dev/null && bash tests/openclaw_install.sh || echo "npm is missing: the tests with OpenClaw are skipped"
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# What needs no processes, no sockets of others and no Gateway: under two minutes.
test-quick: .venv/.tests
	$(BIN)/python -m pytest -m "not slow and not openclaw"

check: .venv/.checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	git ls-files -z '*.py' | xargs -0 $(BIN)/flake8-async --startable-in-context-manager run,answer_questions --disable ASYNC124,ASYNC900,ASYNC910,ASYNC911,ASYNC912,ASYNC913
	$(BIN)/mypy
	$(BIN)/lint-imports

# Ratios against a raw trio channel in the same run; see docs/performance.md.
bench: .venv/.tests
	$(PIP) --editable '.[test,bench]'
	$(BIN)/python benchmarks/runtime.py

# Plants known faults in a copy of supervisor/: the tests must find each of them.
mutants: .venv/.tests
	$(BIN)/python tests/mutants/run.py

# Writes the plugin's method list and manifest anew from the table of methods.
plugin: .venv/.installed
	$(BIN)/python -m mission_control.gateway_bridge

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/.tests: .venv/.installed
	$(PIP) --editable '.[test]'
	touch $@

.venv/.checks: .venv/.tests
	$(PIP) --editable '.[test,check]'
	touch $@

clean:
	rm -rf .venv .cache build dist *.egg-info
