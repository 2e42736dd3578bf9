# `make demo` and `make test` set up all that they need, in .venv and .cache.

PYTHON ?= python3
BIN := .venv/bin
# PYTHONWARNINGS: setuptools warns of every editable installation.
PIP := PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-quick coverage check bench chaos chaos-files chaos-gateway simulate mutants plugin clean

demo: .venv/.installed
	$(BIN)/mission-control demo

test: .venv/.tests
	command -v npm >/dev/null && bash tests/openclaw_install.sh || echo "npm is missing: the tests with OpenClaw are skipped"
	bash tests/all.sh

# What needs no processes, no sockets of others and no Gateway: two minutes.
test-quick: .venv/.tests
	bash tests/quick.sh

# Which lines the quick tests run.  It makes them twice as slow, and does not see other processes.
coverage: .venv/.tests
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow and not openclaw"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: .venv/.checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	git ls-files -z '*.py' | xargs -0 -n 60 -P 2 $(BIN)/flake8-async --startable-in-context-manager run,answer_questions --disable ASYNC124,ASYNC900,ASYNC910,ASYNC911,ASYNC912,ASYNC913
	$(BIN)/mypy
	$(BIN)/lint-imports

# Ratios against what one would write with trio and sqlite3 alone; see docs/performance.md.
bench: .venv/.tests
	$(PIP) --editable '.[test,bench]'
	$(BIN)/python benchmarks/runtime.py
	$(BIN)/python benchmarks/storage.py
	$(BIN)/python benchmarks/files.py
	$(BIN)/python benchmarks/agents.py
	bash tests/openclaw_install.sh
	$(BIN)/python benchmarks/bridge.py

# Kills sidecars under load, a thousand times, then Gateways; CHAOS_SEED repeats a run's moments.
chaos: .venv/.tests
	CHAOS_ROUNDS=$${CHAOS_ROUNDS:-1000} $(BIN)/python -m pytest tests/chaos
	$(MAKE) chaos-gateway

# Kills a real Gateway, the sidecar beside it, or both, fifty times in mid-work; half an hour.
chaos-gateway: .venv/.tests
	bash tests/openclaw_install.sh
	GATEWAY_CHAOS_ROUNDS=$${GATEWAY_CHAOS_ROUNDS:-50} $(BIN)/python -m pytest -s tests/e2e/test_gateway_faults.py -k random_moments

# A thousand simulated days, each decided by its seed; SEED=17 replays one and writes its journal
# to .cache/simulation.journal.
simulate: .venv/.tests
	SIMULATE_SEEDS=$${SIMULATE_SEEDS:-1000} $(BIN)/python -m pytest tests/simulation

# Attacks the scoped files a hundred thousand times in each way, in a sandbox; up to an hour.
chaos-files: .venv/.tests
	FILES_CHAOS=1 $(BIN)/python -m pytest tests/files/test_races.py tests/files/test_differential.py

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
