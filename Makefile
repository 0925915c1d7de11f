# Every target works from a clean clone; see README.md. Override PYTHON to choose the interpreter (3.11 or newer).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Seconds for each codec target of make fuzz, for the API's and the ingest port's, and for make soak.
FUZZ_SECONDS ?= 60
API_FUZZ_SECONDS ?= 600
INGEST_FUZZ_SECONDS ?= 600
SOAK_SECONDS ?= 1800

.PHONY: serve console check-console screenshots demo cluster test sdks test-e2e test-rest test-cluster check lint bench fuzz soak clean

# The pinned, hash-checked dependencies; openkls itself is installed editable, without resolving again.
$(VENV)/.serve: requirements/serve.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/serve.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.serve
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# The web console needs Node.js. Without it everything else is served, and /console/ says how to build it.
CONSOLE := $(BIN)/python hatch_build.py

serve: $(VENV)/.serve
	@$(CONSOLE) --if-possible
	exec $(BIN)/openkls serve

console: $(VENV)/.serve
	$(CONSOLE)

# The front end by itself: types, lint, and the tests of its logic.
check-console: $(VENV)/.serve
	@$(CONSOLE) --if-possible
	@if command -v npm >/dev/null; then cd console && npm run --silent check && npm --silent test; \
	else echo "npm is not installed: the console is not checked"; fi

# Every page of the console, light and dark, English and Chinese, wide and narrow, into build/screenshots.
screenshots: $(VENV)/.dev console
	$(BIN)/python -m tools.screenshots

demo: $(VENV)/.dev
	$(BIN)/python -m tools.demo

# Until Ctrl-C; ONCE=1 ends it after the show.
cluster: $(VENV)/.dev
	exec $(BIN)/python -m tools.cluster $(if $(ONCE),--once)

# codec, model and domain are covered whole, branches too, each by its own tests.
PYTEST := $(BIN)/python -m pytest
COVERED := codec model domain

test: $(VENV)/.dev
	@$(CONSOLE) --if-possible
	@set -e; for layer in $(COVERED); do \
	  $(PYTEST) tests/$$layer --cov=openkls.$$layer --cov-branch --cov-fail-under=100 --cov-report=term-missing:skip-covered; \
	done
	$(MAKE) --no-print-directory --output-sync=target --jobs=2 test-e2e test-rest

# Two halves that wait for processes and clocks most of the time, and so run side by side.
test-e2e: $(VENV)/.dev
	$(PYTEST) tests/e2e

test-rest: $(VENV)/.dev
	$(PYTEST) tests --ignore=tests/e2e $(foreach layer,$(COVERED),--ignore=tests/$(layer))

# Whole clusters as processes: failures, restarts, relays. On a busy machine single ones have failed.
test-cluster: $(VENV)/.dev
	$(PYTEST) tests/e2e -m cluster

# The generated parts of all SDKs, their wheel, and their tests: the conformance cases, and calls of a real service.
sdks: $(VENV)/.dev
	$(BIN)/python -m tools.sdkgen
	$(BIN)/python -m tools.conformance
	rm -f dist/openkls_client-*.whl
	cd sdk/python && $(abspath $(BIN))/python -m hatchling build -t wheel -d $(abspath dist)
	$(PYTEST) tests/client tests/sdk

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Exactly what CI runs.
check: lint check-console
	$(MAKE) test
	$(BIN)/python -m fuzz --seconds 3

# The peers that the benches compare with. One that npm or apt has is left out with a word where it is missing.
$(VENV)/.bench: requirements/bench.txt bench/peers.py $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	$(BIN)/python -m bench.peers
	@touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m bench

fuzz: $(VENV)/.dev
	$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m fuzz.api --seconds $(API_FUZZ_SECONDS)
	$(BIN)/python -m fuzz.ingest --seconds $(INGEST_FUZZ_SECONDS)

soak: $(VENV)/.dev
	$(BIN)/python -m tools.soak --seconds $(SOAK_SECONDS)

clean:
	rm -rf console/node_modules src/openkls/console/static $(VENV) .bench build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
