# One image of the product, for loads and builds (job), the page (web) and Airflow (airflow):
#   docker build --target job -t lakehouse-job .
ARG PYTHON=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${PYTHON} AS build
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY ingestion ingestion
COPY monitoring monitoring
COPY dags dags
COPY dbt_project dbt_project
COPY data_contracts data_contracts
RUN uv venv -q /opt/lakehouse \
    && uv pip install --no-cache --compile-bytecode -p /opt/lakehouse -c constraints.txt \
    ".[advisor,alerts,aws-secrets,azure-secrets,cloud,avro,gcp-secrets,kafka,oracle,protobuf,sqlserver,sqs,web]"

FROM build AS build-airflow
RUN uv pip install --no-cache --compile-bytecode -p /opt/lakehouse -c constraints.txt ".[airflow]"

FROM ${PYTHON} AS base
# what SQL Server's driver loads; Debian keeps no old versions, so a pinned one would soon not be found
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends unixodbc libltdl7 libkrb5-3 libgssapi-krb5-2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home lakehouse \
    && mkdir /lake /airflow \
    && chown lakehouse /lake /airflow
WORKDIR /project
COPY data_contracts data_contracts
COPY dags dags
COPY --chown=lakehouse dbt_project dbt_project
ENV PATH=/opt/lakehouse/bin:$PATH LAKEHOUSE_PROJECT=/project LAKEHOUSE_ROOT=/lake/data PYTHONUNBUFFERED=1 LAKEHOUSE_LOG_FORMAT=json
USER 10001

FROM base AS job
COPY --from=build /opt/lakehouse /opt/lakehouse
# it ends with its command: what counts is the exit code
HEALTHCHECK NONE
ENTRYPOINT ["lakehouse"]
CMD ["--help"]

FROM base AS web
COPY --from=build /opt/lakehouse /opt/lakehouse
EXPOSE 8642
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8642/api/v1/healthz', timeout=4)"]
CMD ["lakehouse", "serve", "--host", "0.0.0.0"]

FROM base AS airflow
COPY --from=build-airflow /opt/lakehouse /opt/lakehouse
ENV AIRFLOW_HOME=/airflow AIRFLOW__CORE__DAGS_FOLDER=/project/dags AIRFLOW__CORE__LOAD_EXAMPLES=False
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/api/v2/monitor/health', timeout=9)"]
CMD ["airflow", "standalone"]
