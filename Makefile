# Every command a person or CI needs. Each target installs what it needs itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# onnxruntime's builds own the same module, so an environment holds exactly one: OpenVINO's on x86-64, plain elsewhere.
RUNTIME := $(if $(filter x86_64 amd64,$(shell uname -m)),openvino,cpu)
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install -q -c deploy/constraints.txt

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18
