# Two commands do everything on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
BIN := .venv/bin
# A portable build of llama.cpp: pip caches the wheel, and a later machine may have another processor.
export CMAKE_ARGS ?= -DGGML_NATIVE=OFF
export PIP_DISABLE_PIP_VERSION_CHECK := 1
SERVE ?= 1
# A folder with gsm8k_test.jsonl and humaneval.jsonl, which may not be copied into this repository.
DATA ?= ../shared/data

.PHONY: help demo demo-llm demo-canary docs test test-gpu test-cluster check audit install install-dev system chaos conformance site-check clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

demo: install ## publish a small repository commit by commit to a host on this machine (SERVE=0 ends after the table)
	$(BIN)/python demo/demo.py $(if $(filter 0,$(SERVE)),--no-serve)

demo-llm: install ## the same with a real language model from PyPI, on GSM8K and HumanEval from DATA
	$(BIN)/python demo/llm.py --data $(DATA) $(if $(filter 0,$(SERVE)),--no-serve)

demo-canary: install ## show two snapshots to some readers first: reviewers abort one, readers carry the other to the live site
	$(BIN)/python demo/canary.py $(if $(filter 0,$(SERVE)),--no-serve)

test: install-dev system check ## run every check and test
	$(BIN)/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

check: install-dev ## format, lint, types, import layers, workflows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/layers.py --check
	$(BIN)/python docs/metrics.py --check
	PATH="$(BIN):$$PATH" $(BIN)/python -m tests.workflows zizmor

docs: install-dev ## build the documentation into .docs/html, strictly: dead links fail, the notebook is executed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -d .docs/doctrees docs .docs/html

audit: install-dev ## what needs npm, or is slow: workflows, their scripts, the documentation, a wheel without extras
	PATH="$(BIN):$$PATH" $(BIN)/python -m tests.workflows actionlint
	PATH="$(BIN):$$PATH" $(BIN)/python -m tests.workflows shellcheck
	$(BIN)/pytest -m audit

install: .venv/.demo ## what the demo needs
install-dev: .venv/.dev ## what the tests need

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.demo: .venv/bin/python pyproject.toml
	@echo "installing; llama.cpp is compiled, once: about five minutes, without a word"
	$(BIN)/pip install --quiet -e '.[bench,host]'
	touch $@

.venv/.dev: .venv/bin/python pyproject.toml
	$(BIN)/pip install --quiet -e '.[dev]'
	touch $@ .venv/.demo

system: ## Debian packages that the tests need (root, unless they are there already)
	bash tests/install-system-packages

chaos: install-dev system ## the long chaos tests: bounded, and seeded so that a failure can be repeated
	$(BIN)/pytest -m chaos

test-gpu: ## the tests marked gpu, on this machine's GPU or on Mesa's software device: slow, and compiles llama.cpp once
	@echo "Proves that offload, splitting, repetition, digests and errors work on a real ggml GPU device, confined."
	@echo "On the software device it proves nothing about speed: that device is some 100 times slower than the processor."
	PYTHON=$(PYTHON) bash tests/install-gpu .gpu
	.gpu/venv/bin/pytest -m gpu

test-cluster: install-dev system ## the Tekton manifests on a real Kubernetes API server, which it compiles once (root, minutes, 3 GiB)
	bash tests/install-kubernetes .kubernetes
	$(BIN)/pytest -m cluster

conformance: install-dev ## the official Netlify clients against the local host
	$(BIN)/pytest -m conformance tests/conformance

site-check: install-dev system ## rendered sites as readers, browsers and attackers meet them (npm, minutes; ARGS=--again)
	$(BIN)/python -m tests.site_check $(ARGS)

clean: ## remove what these commands made here
	rm -rf .venv .gpu .kubernetes .docs docs/reference/made .demo .demo-llm .demo-canary .site-check tests/site_check/node_modules dist .mypy_cache .ruff_cache
