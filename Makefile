# make repro   the pipeline: from data to the report
# make test    the tests
# Both set up .venv first. Interrupt and repeat as you like.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# the environment's programs before any others: DVC stages call `python`
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test test-kills test-slow test-vision test-k8s image campaign setup lint format lock

repro: $(READY)
	$(BIN)/heldout repro

test: $(READY)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# trainings, pipelines and sweeps whose processes are killed at some moment, and go on
test-kills: $(READY)
	$(BIN)/python -m pytest -m kills --numprocesses 2 --dist loadfile

# networks of torchvision and timm: what is installed for them lies apart, as it would slow every start
VISION := torchvision==0.29.2 timm==1.0.31
.vision: $(READY)
	$(BIN)/uv pip install --python $(BIN)/python --quiet --target $@ --no-deps $(VISION)
	@touch $@

test-vision: .vision
	PYTHONPATH=.vision $(BIN)/python -m pytest -k "torchvision or timm" tests/models

# what takes longest: whole sweeps, killed or not, and networks of millions of weights
test-slow: $(READY)
	$(BIN)/python -m pytest -m "slow or kills" --numprocesses 2 --dist loadfile

# everything in k8s/, on a Kubernetes of its own or on HELDOUT_KUBE_CONTEXT
test-k8s: $(READY)
	$(BIN)/python -m pytest -m k8s tests/k8s

# the project's image, built by docker, podman or buildah: make image BASE=python:3.12-slim-bookworm
image:
	k8s/image/build

# what takes long to test: whole clusters that are started, joined and killed
campaign: $(READY)
	$(BIN)/python -m pytest -m campaign

setup: $(READY)

# format, lint, types and import contracts
lint: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# universal, with hashes and without the address of any index
lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra s3 --extra gpu --extra hyperopt --extra datasets --extra images \
		--extra text --extra translation --extra audio --extra explain --extra pretrained --extra cluster --group dev \
		--universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --output-file requirements.lock > /dev/null

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"$(PYTHON) is Python {v[0]}.{v[1]}; expected 3.11 to 3.13. Name another one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes --requirement requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@touch $@
