# Needs git, make and Python 3.11 or later; everything else is installed into .uv/ and .venv/ here.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := PYTHONPATH=.uv $(PYTHON) -m uv
BIN := .venv/bin
PORT ?= 8000
PHOTOGRAPHS ?= ../shared/data/carcass
# The default suite; what is left out, pytest says at its end.
DEFAULT := not browser and not docker and not gpu and not fuzz and not slow
# torch, torchvision and what they import are compiled once, not at every start: 10 s against 5.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: .venv/.lineside ## serve ./models on http://127.0.0.1:8000 (PORT=... for another)
	$(BIN)/lineside serve --port $(PORT) --log-format text

.PHONY: test
test: .venv/.dev ## lint, types, arrows and the default test suite
	@$(MAKE) --no-print-directory check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "$(DEFAULT) and not alone"
	$(BIN)/pytest -m "$(DEFAULT) and alone" $$(grep -rl --include='*.py' 'pytest\.mark\.alone' tests)

.PHONY: check
check: .venv/.dev ## lint, types and arrows only; edits nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

.PHONY: fix
fix: .venv/.dev ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: test-browser
test-browser: .venv/.dev ## drive the page with the system's Chromium
	$(BIN)/pytest -m browser

.PHONY: test-docker
test-docker: .venv/.dev ## build the image, run it, post to it
	$(BIN)/pytest -m docker

.PHONY: image-edge
image-edge: ## build lineside:0.1.0-edge, which serves exported bundles on the CPU without torch
	docker build --target edge -t lineside:0.1.0-edge .

.PHONY: test-slow
test-slow: .venv/.dev ## correct but long
	$(BIN)/pytest -m slow

.PHONY: test-fuzz
test-fuzz: .venv/.dev ## long random input
	$(BIN)/pytest -m fuzz

.PHONY: test-gpu
test-gpu: .venv/.dev ## needs a CUDA device
	$(BIN)/pytest -m gpu

.PHONY: gpu-check
gpu-check: .venv/.dev ## the GPU tests and the GPU bench, where there is a CUDA device
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	  $(BIN)/pytest -m gpu && PYTHONPATH=tests $(BIN)/python -m bench.gpu; \
	else echo "gpu-check: torch sees no CUDA device here; the GPU tests and bench/gpu.py were not run"; fi

.PHONY: bench
bench: .venv/.dev ## this server alone: stages, limit, lone latency, overload, memory; writes bench/README.md (20 minutes)
	$(BIN)/python -m bench.server

.PHONY: bench-quick
bench-quick: .venv/.dev ## the same of the first engine in two minutes; writes nothing
	$(BIN)/python -m bench.server --quick

.PHONY: bench-peers
bench-peers: .venv/.dev ## Lineside beside seven other servers; writes bench/README.md (30 minutes; 6 GB under .bench/)
	$(BIN)/python -m bench.peers

.PHONY: bench-agreement
bench-agreement: .venv/.dev ## what every engine and precision answers to the real photographs (PHOTOGRAPHS=folder); writes bench/README.md
	$(BIN)/python -m bench.agreement $(PHOTOGRAPHS)

.PHONY: bench-page
bench-page: .venv/.dev ## write bench/README.md anew from bench/results/
	$(BIN)/python -m bench.page

.PHONY: bench-overload
bench-overload: .venv/.dev ## ten times the capacity, by two kinds of client; prints what happened
	$(BIN)/python -m bench.overload

.PHONY: bench-bound
bench-bound: .venv/.dev ## the most that ten times the capacity leaves, whoever refuses; prints it
	$(BIN)/python -m bench.bound

.PHONY: bench-explain
bench-explain: .venv/.dev ## what an explanation costs beside a prediction, ResNet-50 on the CPU
	$(BIN)/python -m bench.explain

.PHONY: bench-threads
bench-threads: .venv/.dev ## how torch's threads should wait, alone and beside a busy neighbour
	$(BIN)/python -m bench.threads

.PHONY: bench-decoding
bench-decoding: .venv/.dev ## CPU time of decoding and geometry: plain Pillow, exact, scaled
	$(BIN)/python -m bench.decoding

.PHONY: bench-cores
bench-cores: .venv/.dev ## how many threads compute and decode best on these cores, pinned or not (20 minutes; a quiet machine)
	PYTHONPATH=tests $(BIN)/python -m bench.cores

.PHONY: bench-drawing
bench-drawing: .venv/.dev ## what drawing an overlay costs, and what it is made of
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.drawing

.PHONY: pointing-game
pointing-game: .venv/.dev ## where the demo model's maps lie against the painted cue, per alignment
	$(BIN)/python -m app.demo.pointing

.PHONY: docs-pictures
docs-pictures: .venv/.dev ## draw the pictures of docs/img/ anew, from paintings and the demo model; needs Chromium
	$(BIN)/python -m app.demo.showcase
	$(BIN)/python -m app.demo.report_picture
	$(BIN)/python -m app.demo.evaluation_picture

.PHONY: demo-model
demo-model: .venv/.dev ## paint carcasses and train models/carcass-demo/1 anew
	$(BIN)/python -m app.demo paint .demo/paintings
	@rm -rf .demo/models/carcass-demo
	$(BIN)/lineside finetune .demo/paintings --config examples/painted.toml --out .demo/models/carcass-demo/1
	$(BIN)/python -m app.demo accept .demo/models/carcass-demo/1 models/carcass-demo/1

.PHONY: docs
docs: .venv/.dev ## write docs/configuration.md anew from app/settings.py
	$(BIN)/lineside configuration > docs/configuration.md

.PHONY: parity
parity: .venv/.dev ## measure imports against every library; write the table in docs/checkpoints.md
	$(BIN)/pytest tests/checkpoints -m "not fuzz" --write-parity

.PHONY: lock
lock: .uv/uv ## resolve the three lock files anew
	$(UV) pip compile -q --universal --generate-hashes --no-header --extra torch --extra quantize pyproject.toml -o requirements.lock
	$(UV) pip compile -q --universal --generate-hashes --no-header -c requirements.lock pyproject.toml -o requirements-edge.lock
	$(UV) pip compile -q --universal --generate-hashes --no-header --extra torch --extra quantize --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

# A stamp is newer than the lock it was made from, so a second run installs nothing.
.uv/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target .uv "uv>=0.9"
	@touch $@

.venv/pyvenv.cfg: | .uv/uv
	$(UV) venv --quiet --python $(PYTHON) .venv

.venv/.lineside: requirements.lock pyproject.toml | .venv/pyvenv.cfg
	$(UV) pip install --quiet --python .venv --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python .venv --no-deps --editable .
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml | .venv/pyvenv.cfg
	$(UV) pip install --quiet --python .venv --require-hashes -r requirements-dev.lock
	$(UV) pip install --quiet --python .venv --no-deps --editable .
	@touch $@ .venv/.lineside
