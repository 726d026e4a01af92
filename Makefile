# Every target is a verb. `make demo` and `make test` work on a fresh machine with Python 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PROCESSES ?= 2

.PHONY: setup demo test check format up worker kafka clickhouse bench docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tapestream needs Python 3.11 or newer: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sandbox,dev]'
	@touch $@

demo: setup        ## start everything, collect from the sandbox, show what the store answers
	$(BIN)/tapestream demo --sandbox

test: setup        ## the whole test suite, in PROCESSES processes; ends with pytest's summary
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile

check: setup       ## lint, format, types, import contracts, known vulnerabilities of what is pinned
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit.py

format: setup      ## mend what a machine can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

up: setup          ## run everything embedded until Ctrl-C
	$(BIN)/tapestream up

worker: setup      ## one worker against KAFKA_URL and CLICKHOUSE_URL
	$(BIN)/tapestream worker

kafka: setup       ## one Apache Kafka broker on loopback, from its own jars
	$(BIN)/python -m infra.kafka.apache start --foreground

clickhouse: setup  ## one ClickHouse server on loopback for tests, from npm's library
	$(BIN)/python -m infra.clickhouse.server

bench: setup       ## bars/s: the limit, the embedded broker, Apache Kafka; what bulk gets of every quota
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.quota

docs: setup        ## write the generated documents anew
	$(BIN)/python docs/generate.py

clean:             ## remove what `setup` and runs made; data/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis infra/kafka/.run infra/clickhouse/.run
