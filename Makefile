# Every command that a developer needs. `make` alone lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON := $(BIN)/python

# Node comes from PyPI too, so that Python is all a machine must have.
export PYTHON_3
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## List the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-16s %s\n' "$$name" "$$what"; done

# --- the system on this machine

.PHONY: up
up: $(VENV)/local.stamp node_modules/.stamp ## Run everything here; PORT=4566, KEEP=1, SETTINGS="name=value ..."
	@$(PYTHON) -m cruddur_local up $(if $(PORT),--port $(PORT)) $(if $(KEEP),--keep) $(SETTINGS:%=--setting %)

.PHONY: down
down: $(VENV)/local.stamp ## Take it away again
	@$(PYTHON) -m cruddur_local down

.PHONY: env
env: $(VENV)/local.stamp ## Print the environment for the running system: see make up
	@$(PYTHON) -m cruddur_local env

.PHONY: pages
pages: $(VENV)/local.stamp ## Serve the messages page of the running system; PORT=4567
	@$(PYTHON) -m cruddur_local pages $(if $(PORT),--port $(PORT))

.PHONY: logs
logs: $(VENV)/local.stamp ## Print what the projection logs; FOLLOW=1 goes on
	@$(PYTHON) -m cruddur_local logs $(if $(FOLLOW),--follow)

.PHONY: dynamodb-local
dynamodb-local: $(VENV)/local.stamp ## Run Amazon's DynamoDB Local on port 8000; PORT=8001
	@$(PYTHON) -m cruddur_local dynamodb-local $(if $(PORT),--port $(PORT))

# --- checks

.PHONY: test
test: $(VENV)/dev.stamp $(VENV)/checkov.stamp node_modules/.stamp ## Run every check
	@scripts/test

.PHONY: format
format: $(VENV)/dev.stamp ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: soak
soak: $(VENV)/dev.stamp ## Simulate the projection on as many schedules as wanted; SCHEDULES=1000000
	@$(PYTHON) -m tests.projection.soak $(if $(SCHEDULES),--schedules $(SCHEDULES))

# --- figures

.PHONY: bench
bench: bench-deployment bench-projection bench-verify bench-cost ## Measure everything, into docs/bench

.PHONY: bench-deployment
bench-deployment: $(VENV)/dev.stamp node_modules/.stamp ## Synthesis, zip files, cold start
	@$(PYTHON) -m bench.deployment

.PHONY: bench-projection
bench-projection: $(VENV)/dev.stamp node_modules/.stamp ## The projection against the bootcamp's handler
	@$(PYTHON) -m bench.projection

.PHONY: bench-verify
bench-verify: $(VENV)/dev.stamp node_modules/.stamp ## bin/ddb verify and rebuild against a bare scan
	@$(PYTHON) -m bench.verify

.PHONY: bench-cost
bench-cost: $(VENV)/dev.stamp node_modules/.stamp ## What it costs on AWS, and the limits, into docs/cost.md
	@$(PYTHON) -m bench.cost

# --- deployment

.PHONY: setup
setup: $(VENV)/local.stamp node_modules/.stamp ## Install what deployment and bin/ddb need, for plain cdk commands

.PHONY: synth
synth: setup ## Synthesize every stage, into cdk.out
	@for stage in local dev prod; do node_modules/.bin/cdk synth --quiet --context stage=$$stage --output cdk.out/$$stage || exit 1; done

# --- the machinery behind these

# A stamp is made last, so that an interrupted installation is begun again.
$(VENV)/base.stamp: requirements.txt scripts/find-python
	@python=$$(scripts/find-python) && echo "Installing the CDK app's packages ..." >&2 && $$python -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/local.stamp: $(VENV)/base.stamp requirements-local.txt
	@echo "Installing the local system's packages ..." >&2
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-local.txt
	@touch $@

$(VENV)/dev.stamp: $(VENV)/local.stamp requirements-dev.txt
	@echo "Installing the checks' packages ..." >&2
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# checkov pins a boto3 of its own.
$(VENV)/checkov.stamp: $(VENV)/base.stamp requirements-checkov.txt
	@echo "Installing checkov ..." >&2
	@$(PYTHON) -m venv $(VENV)/checkov
	@$(VENV)/checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-checkov.txt
	@touch $@

node_modules/.stamp: package-lock.json $(VENV)/base.stamp
	@echo "Installing the CDK CLI ..." >&2
	@$(BIN)/npm ci --loglevel=error --no-progress >&2
	@touch $@

.PHONY: lock
lock: $(VENV)/dev.stamp ## Write requirements*.txt from requirements*.in
	@for name in requirements requirements-local requirements-dev requirements-checkov; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-emit-find-links --custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; \
	done

# --- what is made from the code

.PHONY: drawing
drawing: $(VENV)/dev.stamp ## Draw architecture and dashboard again, from the code
	@$(PYTHON) -m cruddur_infra.drawing
	@$(PYTHON) -m cruddur_infra.dashboard_drawing

.PHONY: screenshot
screenshot: $(VENV)/dev.stamp node_modules/.stamp ## Take the picture of the messages page again
	@PYTHONPATH=lambda $(PYTHON) -m tests.pages.screenshot

.PHONY: snapshots
snapshots: $(VENV)/dev.stamp ## Accept the templates as they are now
	@$(BIN)/pytest --quiet tests/templates/test_snapshots.py --snapshot-update
