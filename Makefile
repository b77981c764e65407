# Bare `make` prints this help. Every target sets up what it needs; Python 3.11+ is all it asks for.
PYTHON ?= python3
UV := .tools/bin/uv
RUN := .venv/bin/
export UV_PYTHON_DOWNLOADS = never
# Tests start hundreds of processes: each would compile anew all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-fast test-integration test-faults test-infra test-applied test-testkit test-processes test-users test-trouble test-mutants lint-infra check format documents protos lambda-package bench clean

help: ## Print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.9

.venv/.synced: uv.lock pyproject.toml | $(UV)
	$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

# Apart from ours: checkov pins what we are past.
.tools/lint/.synced: infra/lint/uv.lock infra/lint/pyproject.toml | $(UV)
	UV_PROJECT_ENVIRONMENT=$(CURDIR)/.tools/lint $(UV) sync --frozen --quiet --python $(PYTHON) --project infra/lint
	@touch $@

# Fetched once, before two who read it.
.tools/terraform/schema.json: infra/terraform/testkit/wheels.txt $(wildcard infra/terraform/testkit/*.py infra/terraform/testkit/kinds/*.py) | .venv/.synced
	PYTHONPATH=infra/terraform $(RUN)python -m testkit fetch
	@touch $@

run: .venv/.synced ## Start the whole service on this machine, with a demo event and a token
	$(RUN)reservation-api dev

# Halves of the infrastructure's tests, of a length.
INFRA := test-applied test-testkit
APPLIED_TESTS := $(addprefix tests/infra/,test_configurations.py test_doctor_on_terraform.py test_service_on_terraform.py)

# What the two cores of a small machine share, longest first: each takes the next when it is done with one.
# All of them run, whichever fails; each is shown when it has ended.
SIDE_BY_SIDE := test-integration test-faults test-users test-fast $(INFRA) check lint-infra
TOGETHER := -j2 --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
FAULT_TESTS := $(addprefix tests/integration/,test_every_await.py test_invariants_under_faults.py test_fault_matrix.py)

# Load, kills, and bounds in seconds.
TROUBLE_TESTS := $(addprefix tests/e2e/,test_alarms_of_prometheus.py test_aws_fleet.py test_inventory_outage_under_load.py \
	test_kill.py test_overload.py test_processes_fleet.py test_processes_shutdown.py test_rolling_restart.py test_sale.py \
	test_telemetry_in_trouble.py test_two_processes_grpc.py test_walkthrough.py)

# The mutants test the tests of infra/terraform, and change with them alone: `make test-mutants` runs them.
test: .venv/.synced .tools/lint/.synced ## Everything CI checks: style, types, architecture, all tests but the mutants
	@echo "Two at a time, each shown at its end: $(SIDE_BY_SIDE)"
	$(MAKE) $(TOGETHER) $(SIDE_BY_SIDE)
	$(MAKE) test-trouble

test-fast: .venv/.synced ## Unit, contract and architecture tests only
	$(RUN)pytest tests/architecture tests/unit tests/contract

test-integration: .venv/.synced ## Ours with what is foreign: gRPC, AWS's stand-ins, files, a collector
	$(RUN)pytest tests/integration $(addprefix --ignore=,$(FAULT_TESTS))

test-faults: .venv/.synced ## The invariants: any fault, or another command, at any moment of any command
	$(RUN)pytest $(FAULT_TESTS)

test-processes: test-users test-trouble ## Real processes: both that follow

test-users: .venv/.synced ## The service as users, operators and neighbours meet it
	$(RUN)pytest tests/e2e $(addprefix --ignore=,$(TROUBLE_TESTS))

test-trouble: .venv/.synced ## The service under load, killed, restarted, cut off: needs a machine of its own
	$(RUN)pytest $(TROUBLE_TESTS)

test-infra: .venv/.synced .tools/lint/.synced ## Infrastructure only: apply Terraform to stand-ins for AWS
	$(MAKE) $(TOGETHER) $(INFRA)

test-applied: .venv/.synced .tools/terraform/schema.json ## Of it: modules and environments, planned and applied
	$(RUN)pytest $(APPLIED_TESTS)

test-testkit: .venv/.synced .tools/lint/.synced .tools/terraform/schema.json ## Of it: all the rest
	$(RUN)pytest tests/infra $(addprefix --ignore=,tests/infra/test_mutants.py $(APPLIED_TESTS))

test-mutants: .venv/.synced .tools/lint/.synced ## Whether each of ninety mistakes in the infrastructure turns its check red
	$(RUN)pytest tests/infra/test_mutants.py

lint-infra: .tools/lint/.synced ## What checkov says of Terraform, Kubernetes and the Dockerfile: half a minute
	.tools/lint/bin/checkov --config-file infra/lint/checkov.yaml

check: .venv/.synced ## Formatting, lint, types, generated files
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)reservation-api openapi --check docs/openapi.json
	$(RUN)reservation-api schemas --check docs/events
	$(RUN)python scripts/generate_proto.py --check

format: .venv/.synced ## Format and fix what a tool can fix
	$(RUN)ruff check --fix --quiet . || true
	$(RUN)ruff format .

documents: .venv/.synced ## Write what is made from the code: docs/openapi.json, docs/events, Terraform's units
	$(RUN)reservation-api openapi > docs/openapi.json
	$(RUN)reservation-api schemas --write docs/events
	$(RUN)reservation-api plan-capacity --units > infra/terraform/modules/dynamodb/units.json

protos: .venv/.synced ## Write src/reservation_proto from proto/
	$(RUN)python scripts/generate_proto.py

lambda-package: .venv/.synced ## Write dist/lambda-ARCHITECTURE.zip for the functions of infra/terraform
	$(RUN)python scripts/package_lambda.py --architecture arm64
	$(RUN)python scripts/package_lambda.py --architecture x86_64

bench: .venv/.synced ## Measure everything, in 25 minutes; writes docs/performance.md. ARGS=--quick: a smoke run
	$(RUN)python -m bench.suite $(ARGS)

clean: ## Remove what the other targets made
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis data dist bench/results
