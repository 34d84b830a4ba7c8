# make run          the app, on the demo study
# make check        lint, types, and the fast tests that need no browser, server or other process: for every day
# make test         every test; those that drive a browser are skipped where there is no Chromium
# make lint types   ruff and the import layers; mypy
# make screenshots  every page, light and dark, into assets/
# make benchmarks   the measurements that docs/ quotes
#
# Nothing but make and Python 3.11 or newer is needed; another Python: make run PYTHON=python3.12
# To reach the app from another machine: make run ADDRESS=0.0.0.0 PORT=8501
# Property tests on 2,000 examples each: make test PYTEST_FLAGS=--hypothesis-profile=thorough

PYTHON ?= python3
ADDRESS ?= localhost
PORT ?= 8501
PYTEST_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
# uv installs in two thirds of the time, where it is there and reaches an index. pip compiles nothing: what is imported is
# compiled then, which is a small part of what is installed.
UV := $(shell command -v uv)
PIP := $(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check --no-input
install = $(if $(UV),$(UV) pip install -q --python $(BIN)/python -r $(1) ||) $(PIP) -r $(1)

.DEFAULT_GOAL := run
.PHONY: run test check quick-test lint types screenshots benchmarks clean

# A Python that is gone or was replaced leaves a venv that starts nothing: make it anew.
ifneq ($(shell $(BIN)/python -c 'print(1)' 2>/dev/null),1)
.PHONY: $(VENV)/pyvenv.cfg
endif

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python 3.11 or newer is needed, and $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % v[:2])'
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/run.stamp: requirements.txt $(VENV)/pyvenv.cfg
	@echo "Installing requirements.txt ..."
	@$(call install,requirements.txt)
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements-cluster.txt $(VENV)/run.stamp
	@echo "Installing requirements-dev.txt ..."
	@$(call install,requirements-dev.txt)
	@touch $@

# Named, the address keeps Streamlit from asking another host for ours.
run: $(VENV)/run.stamp
	$(BIN)/streamlit run streamlit_app.py --server.address $(ADDRESS) --server.port $(PORT)

# On every core. What is compiled of the tests is kept for the next time, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: $(VENV)/dev.stamp
	$(PYTEST) $(PYTEST_FLAGS)

check: $(VENV)/dev.stamp
	@$(MAKE) --no-print-directory -j3 --output-sync=target lint types quick-test

quick-test: $(VENV)/dev.stamp
	$(PYTEST) -m "not browser and not server and not slow" --hypothesis-profile=quick $(PYTEST_FLAGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/dev.stamp
	$(BIN)/mypy

screenshots: $(VENV)/dev.stamp
	$(BIN)/python -m tools.screenshots assets

benchmarks: $(VENV)/dev.stamp
	@for script in benchmarks/*.py; do \
		grep -q '__name__ == "__main__"' $$script || continue; \
		echo "== $$script"; \
		PYTHONPATH=. $(BIN)/python $$script || exit 1; \
	done

clean:
	rm -rf $(VENV) .import_linter_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/artifacts
