# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-out
BIN := $(VENV)/bin
# No byte-compiling at install: Python compiles what it really imports, which is far less.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile --constraint requirements.lock

.PHONY: demo test lint benchmark clean

demo: $(VENV)/.demo
	$(BIN)/geotether demo --out $(OUT)

# Tests start some fifty processes, which share the byte code that the first writes.
test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

lint: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

benchmark: $(VENV)/.demo
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/encoding.py

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"geotether needs Python 3.11 or newer, {sys.executable} is {v.major}.{v.minor}; name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) hatchling editables setuptools wheel
	@touch $@

$(VENV)/.demo: $(VENV)/.python pyproject.toml requirements.lock
	$(PIP) --no-build-isolation --editable '.[serve]'
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml requirements.lock
	$(PIP) --no-build-isolation --editable '.[test]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) $(OUT)
