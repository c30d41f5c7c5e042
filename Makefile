# `make` prints what each target does. All of them set up .venv first.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CONSTRAINTS := --quiet --constraint conf/constraints.txt
EXTRAS := spark,connect,report,fast

.DEFAULT_GOAL := help
.PHONY: help demo test lint types law unit spark spark-oldest bench notebooks clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml conf/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; $(PYTHON) is `$(PYTHON) --version 2>&1`. Set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install $(CONSTRAINTS) --editable ".[$(EXTRAS)]" --group dev
	@$(BIN)/python -m dvspark.engine.java > /dev/null 2>&1 \
	  || { echo "no Java 17 or later found: installing one into $(VENV)"; \
	       $(BIN)/python -m pip install $(CONSTRAINTS) --editable ".[$(EXTRAS),java]"; }
	@touch $@

demo: $(READY) ## value a real data set in local Spark, print what was found, write the report
	$(BIN)/dvspark demo

test: lint types law unit spark ## everything that CI checks

lint: $(READY) ## style of the code
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY) ## mypy, strict
	$(BIN)/mypy

law: $(READY) ## which package may import which
	$(BIN)/lint-imports

unit: $(READY) ## tests without a JVM, the report in a real browser among them
	$(BIN)/pytest tests/unit

spark: $(READY) ## tests on local Spark, a standalone cluster, Spark Connect, spark-submit, and the notebooks
	$(BIN)/pytest tests/conformance tests/spark tests/jobs

notebooks: $(READY) ## run the notebooks
	$(BIN)/pytest tests/spark/test_notebooks.py

spark-oldest: ## the Spark tests on the oldest PySpark supported, in an environment of its own
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	grep -vi '^pyspark==\|^py4j==\|^pandas==' conf/constraints.txt > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install --quiet --constraint .venv-oldest/constraints.txt \
	  "pyspark==4.0.*" --editable ".[$(EXTRAS)]" --group dev
	.venv-oldest/bin/pytest tests/conformance tests/spark tests/jobs

bench: $(READY) ## kernel speed, as ratios to the bare matrix product and to plain NumPy
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python -m tests.bench.kernel

clean: ## remove environments, caches and the demo's output
	rm -rf .venv .venv-oldest demo-output build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis spark-warehouse
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
