# `make` prints what each target does. All of them set up .venv first.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
HASHED := --quiet --require-hashes --requirement
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
  --constraint conf/constraints.txt
EXTRAS := spark,connect,fast,dp,ann,delta,iceberg,transport
comma := ,
RESULTS := tests/bench/results
# Of the cases of a test, and of files of long tests, the share that runs: one in so many, other ones at each commit.
ONE_IN ?= 12

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint types law docs unit spark fuzz mutants spark-oldest bench notebooks newest lowest requirements audit clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Tests start hundreds of processes. Where none may keep what it compiles, each takes some two seconds of CPU to load what it
# needs, in place of one.
unexport PYTHONDONTWRITEBYTECODE

# Every file that is installed is one whose sha256 is known; the package itself is built by what is installed. uv takes a
# third of pip's time, 61 s for 153, but does not read pip's settings, which may have the only index that is reached.
$(READY): pyproject.toml conf/requirements.txt conf/requirements-java.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; $(PYTHON) is `$(PYTHON) --version 2>&1`. Set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/[^\]$$/p' conf/requirements.txt > $(VENV)/uv.txt
	$(BIN)/python -m pip install $(HASHED) $(VENV)/uv.txt
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python $(HASHED) conf/requirements.txt \
	  || $(BIN)/python -m pip install $(HASHED) conf/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m dvspark.spark.java > /dev/null 2>&1 \
	  || { echo "no Java 17 or later found: installing one into $(VENV)"; \
	       $(BIN)/python -m pip install $(HASHED) conf/requirements-java.txt; }
	@touch $@

demo: $(READY) ## value a real data set, print what was found, write the report
	$(BIN)/dvspark demo

test: $(READY) ## what CI checks: each short test, and one in twelve of further cases and of long tests
	$(MAKE) --jobs 2 --output-sync lint types law docs
	$(MAKE) unit
	$(MAKE) spark

test-all: $(VENV)/.class-data ## the same with all cases and all long tests; more than an hour
	$(MAKE) test ONE_IN=1

# Java of the tests starts from the classes in it, with a third less CPU. Writing it takes a minute: too long for a few.
$(VENV)/.class-data: $(READY)
	$(BIN)/python tests/support/java_options.py 2> /dev/null || echo "no class data: the tests start Java without"
	@touch $@

lint: $(READY) ## style of the code
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY) ## mypy: the package strictly, the tests for names that exist and calls that fit
	$(BIN)/mypy
	$(BIN)/mypy --config-file conf/mypy-tests.ini

law: $(READY) ## which package may import which
	$(BIN)/lint-imports

# A folder a version, beside a list of them: kept ones make the choice of versions in the site. Under --quiet the builder
# would count no warning.
docs: $(READY) ## the documentation as a site in build/site; any warning is an error, and so is any broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file conf/mkdocs.yml \
	  --site-dir $(CURDIR)/build/site/$$($(BIN)/python -c 'import dvspark; print(dvspark.__version__)')

unit: $(READY) ## tests without a JVM, the report and the site in a real browser among them
	$(BIN)/pytest tests/unit -n 2 --one-in $(ONE_IN) --durations 20 --hypothesis-profile ci

spark: $(READY) ## tests on local Spark, a standalone cluster, Spark Connect, spark-submit, and the notebooks
	$(BIN)/pytest tests/conformance tests/spark tests/jobs -n 2 --dist loadfile --one-in $(ONE_IN) --durations 20 \
	  --hypothesis-profile ci

fuzz: $(READY) ## property tests with twenty times the examples, other ones each time; an hour
	$(BIN)/pytest tests/unit -n 2 -m hypothesis --hypothesis-profile fuzz --timeout 3600 --durations 20

# cosmic-ray has the faults; it needs much that the project does not, so it gets an environment of its own.
.venv-mutants/.ready:
	$(PYTHON) -m venv .venv-mutants
	.venv-mutants/bin/python -m pip install --quiet "cosmic-ray>=8.4"
	@touch $@

mutants: $(READY) .venv-mutants/.ready ## 100 small faults, drawn by seed: do the tests find them; goes on where it was; hours
	.venv-mutants/bin/python -m tests.mutants.sample --python $(BIN)/python

notebooks: $(READY) ## run the notebooks
	$(BIN)/pytest tests/spark/test_notebooks.py

spark-oldest: ## the Spark tests on the oldest PySpark supported, in an environment of its own
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	grep -vi '^pyspark==\|^py4j==\|^pandas==' conf/constraints.txt > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install --quiet --constraint .venv-oldest/constraints.txt \
	  "pyspark==4.0.*" --editable ".[$(EXTRAS)]" --group dev
	.venv-oldest/bin/pytest tests/conformance tests/spark tests/jobs

# Nothing is pinned here but by pyproject.toml: what fails will fail at a user's, or soon.
newest: ## a canary that may fail: the unit tests on the newest versions of all dependencies
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-newest/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager \
	  --editable ".[$(EXTRAS),models]" --group dev
	@echo "newer, but out of the ranges in pyproject.toml or of another package:"
	.venv-newest/bin/python -m pip list --outdated
	.venv-newest/bin/pytest tests/unit -n 2 --hypothesis-profile ci

# Tools of tests are in what versions go with these; those of the wheel and of the site go with none.
LOWEST := .venv-lowest/bin/uv pip
lowest: ## the unit tests on the oldest versions of all dependencies that pyproject.toml allows
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet "uv>=0.9"
	$(LOWEST) compile pyproject.toml --quiet --python .venv-lowest/bin/python --resolution lowest-direct \
	  $(addprefix --extra ,$(subst $(comma), ,$(EXTRAS)) models) --output-file .venv-lowest/lowest.txt
	$(LOWEST) install --python .venv-lowest/bin/python --requirement .venv-lowest/lowest.txt --editable . \
	  pytest pytest-timeout pytest-xdist hypothesis psutil prometheus-client polars cleanlab==2.9.0 nbformat nbclient mpmath \
	  import-linter databricks-bundles kubeflow-spark-api ipykernel
	.venv-lowest/bin/pytest tests/unit -n 2 --hypothesis-profile ci --ignore tests/unit/test_wheel.py \
	  --ignore tests/unit/test_site.py

# pyDVL refuses NumPy 2, so it gets an environment of its own.
.venv-bench/.ready: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-bench/bin/python -m pip install --quiet --editable . --group bench
	@touch $@

# The two variables go together: half of a pair that was set for another processor slows products down.
bench: $(READY) .venv-bench/.ready ## measure speed, overhead, memory and scaling, write docs/performance.md; half an hour
	for name in first_report kernel family certificates self_validation review chg_epochs engine_overhead rest_of_job memory scaling sharded lost_executors plan_estimate scale yfcc100m soak; do \
	  env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
	    $(BIN)/python -m tests.bench.$$name --out $(RESULTS)/$$name.json || exit 1; done
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
	  .venv-bench/bin/python -m tests.bench.against_pydvl --out $(RESULTS)/against_pydvl.json
	$(BIN)/python -m tests.bench.performance_page > docs/performance.md

requirements: $(READY) ## write the sha256 of all files of the versions in conf/constraints.txt
	for name in "" -java; do head -3 conf/requirements$$name.txt > conf/requirements.new; \
	  if [ -z "$$name" ]; then $(COMPILE) $(addprefix --extra ,$(subst $(comma), ,$(EXTRAS))) --group dev; \
	  else $(COMPILE) --extra java; fi >> conf/requirements.new || exit 1; \
	  mv conf/requirements.new conf/requirements$$name.txt; done

audit: ## look for known vulnerabilities in what is installed; needs pip-audit
	pip-audit --strict --require-hashes --disable-pip --requirement conf/requirements.txt
	pip-audit --strict --require-hashes --disable-pip --requirement conf/requirements-java.txt

clean: ## remove environments, caches and the demo's output
	rm -rf .venv .venv-oldest .venv-newest .venv-lowest .venv-bench .venv-mutants demo-output build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis spark-warehouse
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
