# Every target sets up what it needs: a fresh clone needs Python 3.11 or newer, make, and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_VENV ?= .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed

.PHONY: demo test test-all fuzz check format bench clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[all]" --group dev
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/stepdown demo

# Test files run side by side, each in one thread: the models of tests are too small for more.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(STAMP)
	$(PYTEST)

test-all: $(STAMP)
	$(PYTEST) -m "slow or not slow"

# Ten thousand damaged and hostile bundles; SEED=1 makes others.
SEED ?= 0
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz --seed $(SEED)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What stepdown is measured against lives in an environment of its own; what cannot be installed is told, not measured.
$(BENCH_STAMP): pyproject.toml constraints.txt bench/requirements.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install -q --upgrade "pip>=25.1"
	$(BENCH_VENV)/bin/python -m pip install -q -c constraints.txt -e ".[train]"
	sed 's/#.*//' bench/requirements.txt | while read -r peer; do \
	  test -z "$$peer" || $(BENCH_VENV)/bin/python -m pip install -q -c constraints.txt "$$peer" \
	  || echo "$$peer could not be installed; the others are measured."; done
	touch $(BENCH_STAMP)

bench: $(BENCH_STAMP)
	$(BENCH_VENV)/bin/python -m bench

clean:
	rm -rf $(VENV) $(BENCH_VENV) bench/.work .pytest_cache .mypy_cache .ruff_cache dist fuzz-failures
