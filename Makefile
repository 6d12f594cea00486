# The same recipes on a laptop and in CI. Needs Python 3.11+ and make; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= auto
export PIP_DISABLE_PIP_VERSION_CHECK = 1
.PHONY: demo test check format build contract-diff airflow constraints clean

demo: .venv/base  ## both days of the retail world, source to Gold
	$(BIN)/lakehouse demo $(DEMO)

test: .venv/dev  ## every test; needs no network and no server
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(TESTS)

check: .venv/dev  ## what a pull request must pass besides the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/lakehouse contract lint
	$(BIN)/lakehouse contract sources --check

build: .venv/base  ## one layer, or both: make build LAYER=silver
	$(BIN)/lakehouse build $(or $(LAYER),all)

contract-diff: .venv/base  ## contracts that changed since BASE: a break must be announced by the major version
	@set -e; old=$$(mktemp -d); trap 'rm -rf "$$old"' EXIT; \
	for file in $$(git diff --name-only --diff-filter=M $(or $(BASE),origin/main) -- 'data_contracts/**/*.odcs.yaml'); do \
		mkdir -p "$$old/$$(dirname $$file)"; git show "$(or $(BASE),origin/main):$$file" > "$$old/$$file"; \
		echo "$$file"; $(BIN)/lakehouse contract diff --allow-announced "$$old/$$file" "$$file"; \
	done

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

airflow: .venv/dev  ## Airflow's UI on this machine, with the demo world behind it
	$(BIN)/python -m ingestion.demo.airflow

constraints: .venv/base  ## resolve every pin anew from pyproject.toml
	$(BIN)/uv pip compile -q --universal --all-extras --no-header --no-annotate --no-emit-index-url --upgrade \
		pyproject.toml -o constraints.txt

clean:
	rm -rf .venv lake demo-world airflow dbt_project/target dbt_project/logs

.venv/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q "uv==0.13.8"
	touch $@

.venv/base: .venv/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install -q -p .venv -c constraints.txt -e .
	touch $@

.venv/dev: .venv/base
	$(BIN)/uv pip install -q -p .venv -c constraints.txt -e ".[airflow,cloud,oracle,sqlserver,dev]"
	touch $@
