# Every command that a developer needs. `make` alone lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON := $(BIN)/python

# None of the shell's variables may change what Python or Node runs, nor leave its modules to be compiled on each start.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONWARNINGS PYTHONDONTWRITEBYTECODE NODE_ENV NODE_OPTIONS NODE_PATH
# Given on the command line alone: a workspace may have a PORT or a NAME of its own.
$(foreach name,PORT KEEP SETTINGS UNDO FOLLOW JSON SEED SCHEDULES NAME REGION TEST YES CLEAN_UP,$(eval $(name) :=))

# Node comes from PyPI too, so Python is the only requirement.
export PYTHON_3
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## List the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-16s %s\n' "$$name" "$$what"; done

# --- the system on this machine

.PHONY: up
up: $(VENV)/local.stamp node_modules/.stamp ## Run everything here; PORT=4566, KEEP=1, SETTINGS="name=value ..."
	@$(PYTHON) -m cruddur_local up $(if $(PORT),--port $(PORT)) $(if $(filter-out 0,$(KEEP)),--keep) $(SETTINGS:%=--setting %)

.PHONY: down
down: $(VENV)/local.stamp ## Stop it and delete its data; KEEP=1 keeps the data, KEEP=0 deletes what is kept
	@$(PYTHON) -m cruddur_local down $(if $(KEEP),$(if $(filter-out 0,$(KEEP)),--keep,--forget))

.PHONY: status
status: $(VENV)/local.stamp ## Show what runs, where, and whether its data is kept
	@$(PYTHON) -m cruddur_local status

.PHONY: env
env: $(VENV)/local.stamp ## Print the environment for the running system; UNDO=1 undoes it
	@$(PYTHON) -m cruddur_local env $(if $(UNDO),--undo)

.PHONY: pages
pages: $(VENV)/local.stamp ## Serve the messages page of the running system; PORT=4567
	@$(PYTHON) -m cruddur_local pages $(if $(PORT),--port $(PORT))

.PHONY: logs
logs: $(VENV)/local.stamp ## Print what the projection logs; FOLLOW=1 continues, JSON=1 prints it unchanged
	@$(PYTHON) -m cruddur_local logs $(if $(FOLLOW),--follow) $(if $(JSON),--json)

.PHONY: dynamodb-local
dynamodb-local: $(VENV)/local.stamp ## Run Amazon's DynamoDB Local on port 8000; PORT=8001
	@$(PYTHON) -m cruddur_local dynamodb-local $(if $(PORT),--port $(PORT))

# --- checks

.PHONY: check
check: $(VENV)/dev.stamp node_modules/.stamp ## On each save: format, lint, types, and the tests that need no database engine
	@tools/test check

.PHONY: test
test: $(VENV)/dev.stamp node_modules/.stamp ## Before a pull request: also the tests on the real engines
	@tools/test test

.PHONY: proof
proof: $(VENV)/dev.stamp $(VENV)/spark.stamp node_modules/.stamp ## Everything, on schedules that never ran before; SEED=, SCHEDULES=
	@SEED=$(SEED) SCHEDULES=$(SCHEDULES) tools/test proof

.PHONY: format
format: $(VENV)/dev.stamp ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: soak
soak: FIRST_SEED := $(or $(SEED),$(shell date +%s))
soak: $(VENV)/dev.stamp ## Simulate the projection on as many schedules as wanted; SEED=, SCHEDULES=1000000
	@echo "The schedules begin at seed $(FIRST_SEED); the same ones again: make soak SEED=$(FIRST_SEED)"
	@CRUDDUR_FIRST_SEED=$(FIRST_SEED) CRUDDUR_SCHEDULES=$(or $(SCHEDULES),1000000) \
		$(BIN)/pytest --numprocesses logical --exitfirst tests/projection/test_simulation.py

# --- figures

BENCH := PYTHONPATH=lambda AWS_DEFAULT_REGION=us-east-1 $(PYTHON) -m tools.bench

.PHONY: bench
bench: bench-projection bench-verify bench-cost ## Measure everything, into docs/bench

.PHONY: bench-projection
bench-projection: $(VENV)/dev.stamp node_modules/.stamp ## The projection against the bootcamp's handler, and what people do
	@$(BENCH).projection

.PHONY: bench-verify
bench-verify: $(VENV)/dev.stamp $(VENV)/spark.stamp ## bin/ddb verify by scan, by export and on Spark, against a bare scan
	@$(BENCH).verify

.PHONY: bench-cost
bench-cost: $(VENV)/dev.stamp node_modules/.stamp ## What it costs on AWS, into docs/cost.md
	@$(BENCH).cost

.PHONY: spark
spark: $(VENV)/spark.stamp ## Install Spark, for bin/ddb verify --export ... --engine spark

# --- deployment

.PHONY: setup
setup: $(VENV)/local.stamp node_modules/.stamp ## Install what deployment and bin/ddb need, for plain cdk commands

.PHONY: test-aws
test-aws: $(VENV)/dev.stamp node_modules/.stamp ## Test in an AWS account what only AWS can show; NAME=, REGION=, TEST=, YES=1, CLEAN_UP=1
	@$(BIN)/pytest tests/aws --account aws --capture no --verbose --timeout 10800 $(if $(NAME),--name $(NAME)) \
		$(if $(REGION),--region $(REGION)) $(if $(TEST),-k "$(TEST)") $(if $(YES),--yes) $(if $(CLEAN_UP),--clean-up)

.PHONY: synth
synth: setup ## Synthesize every stage, into cdk.out
	@for stage in local dev prod; do node_modules/.bin/cdk synth --quiet --context stage=$$stage --output cdk.out/$$stage || exit 1; done

# --- installation

# A stamp is written last, so an interrupted installation runs again.
$(VENV)/base.stamp: requirements.txt
$(VENV)/local.stamp: requirements/local.txt $(VENV)/base.stamp
$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/local.stamp
$(VENV)/%.stamp:
	@tools/install $(VENV) $<
	@touch $@

# Spark 3.5 needs an older Java than DynamoDB Local, so it has an environment of its own.
$(VENV)/spark.stamp: requirements/spark.txt $(VENV)/base.stamp
	@tools/install $(VENV)/spark $<
	@touch $@

node_modules/.stamp: package-lock.json $(VENV)/base.stamp
	@tools/install node_modules $<
	@touch $@

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"

.PHONY: lock
lock: $(VENV)/dev.stamp ## Write the lock files from pyproject.toml and package.json
	@$(LOCK) --group app -o requirements.txt
	@$(LOCK) --group local -c requirements.txt -o requirements/local.txt
	@$(LOCK) --group spark -o requirements/spark.txt
	@$(LOCK) --group dev -c requirements.txt -c requirements/local.txt -o requirements/dev.txt
	@npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund --silent

# --- files that are generated from the code

.PHONY: drawing
drawing: $(VENV)/dev.stamp ## Draw docs/architecture.md again, from the templates
	@$(PYTHON) -m tools.drawing

.PHONY: screenshot
screenshot: $(VENV)/dev.stamp node_modules/.stamp ## Take the picture of the messages page again
	@PYTHONPATH=lambda $(PYTHON) -m tests.pages.screenshot

.PHONY: snapshots
snapshots: $(VENV)/dev.stamp ## Accept the templates as they are now
	@$(BIN)/pytest --quiet tests/templates/test_snapshots.py --snapshot-update
