# `make help` lists the targets. Everything goes into .venv; nothing else on the machine is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help run test check lint profiles golden bench soak oracle clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.run: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/.run ## Migrate, import the ISIKOK-19 study and serve it on 127.0.0.1:8000
	@$(BIN)/cart-fhir demo

test: $(VENV)/.dev ## The tests, on SQLite and on a PostgreSQL that they start themselves
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q service  # tests start the service some hundred times
	@$(BIN)/python -m pytest -n 4 --dist loadgroup

lint: $(VENV)/.dev ## Style and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

check: lint test ## What CI runs

profiles: $(VENV)/.dev ## Compile the FHIR profiles (needs Node and npm)
	@$(BIN)/python fhir_profiles/build.py

golden: $(VENV)/.dev ## Write the golden files of the mappings anew; the diff is the review
	@$(BIN)/python -m pytest -q tests/golden --update-golden

bench: $(VENV)/.dev ## Rates beside their yardsticks, in one run
	@$(BIN)/python -m bench

soak: $(VENV)/.dev ## Long campaigns: crashes, faults, random plans, 20,000 nearly right requests, 200,000 mutated bodies
	@CART_FHIR_SOAK=1 $(BIN)/python -m pytest tests/promises tests/jobs tests/sync/test_two_way.py tests/store/test_state_machine.py tests/unit/test_generated.py tests/unit/test_corpus.py

oracle: $(VENV)/.dev ## Our validator against HL7's own, some 8,000 cases (needs Java and Maven)
	@$(BIN)/python -m oracle.compare

clean: ## Remove the environment and the local data
	rm -rf $(VENV) .cart-fhir
