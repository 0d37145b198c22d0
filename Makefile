# Everything runs in .venv, which the first target that needs it makes. ARGS go to the command:
#   make train ARGS="optimizer=sgd seed=2"      make test ARGS="tests/data -x"
BIN := .venv/bin
SETUP := .venv/.setup
BENCH := .venv/.bench
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: setup train d1 e1 report predict test lint bench clean help

setup: $(SETUP)  ## make .venv and install everything pinned (PYTHON=... chooses the interpreter)

train: $(SETUP)  ## train, by default on the generated vectors (ARGS="optimizer=sgd seed=2")
	$(BIN)/python -m vec2uage.train $(ARGS)

d1 e1: $(SETUP)  ## the paper's experiment, 80 runs (ARGS="budget=small" for one in minutes)
	$(BIN)/python -m vec2uage.train experiment=$@ $(ARGS)

# Of the sweeps that `make d1` and `make e1` have left, or of SWEEPS="folder folder".
SWEEPS ?= $(wildcard outputs/sweeps/experiment=d1* outputs/sweeps/experiment=e1*)
report: $(SETUP)  ## tables, figures and a page of these experiments (SWEEPS="outputs/sweeps/one outputs/sweeps/other")
	$(BIN)/python -m vec2uage.report $(addprefix sweep=,$(SWEEPS)) $(ARGS)

predict: $(SETUP)  ## ages of the faces in the files of a case (ARGS="source.path=photos"; docs/predict.md)
	$(BIN)/python -m vec2uage.predict $(ARGS)

test: $(SETUP)  ## run the tests (ARGS="-m slow" for the minutes-long ones)
	$(BIN)/pytest $(ARGS)

lint: $(SETUP)  ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# FACES="--faces photos" measures on photographs instead of noise, and predict, which needs faces.
bench: $(BENCH)  ## measure everything on this machine (minutes; wants an idle machine)
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.grid
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.gpu
	$(BIN)/python -m benchmarks.overheads
	$(BIN)/python -m benchmarks.reporting
	$(BIN)/python -m benchmarks.embedding $(FACES)
	$(BIN)/python -m benchmarks.preparing $(FACES)
	$(BIN)/python -m benchmarks.augmenting $(FACES)
	$(if $(FACES),$(BIN)/python -m benchmarks.predicting $(FACES))

clean:  ## remove .venv, caches and builds; outputs/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

help:  ## show this
	@awk -F ':.*## ' '/^[a-z0-9 ]+:.*## / {printf "make %-8s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Made again when what is to be installed changes; build backends come first, so that they are pinned too.
$(SETUP): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt hatchling editables setuptools
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

$(BENCH): $(SETUP)
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e '.[dev,bench]'
	@touch $@

$(BIN)/python:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        $$python -m venv .venv || { rm -rf .venv; exit 1; }; \
	        exit; \
	    fi; \
	done; \
	echo "vec2uage needs Python 3.11 or newer and found none: install it, or name it, as in make setup PYTHON=/path/to/python3.11" >&2; \
	exit 1
