# Everything goes through these targets; README names `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# On a machine without a GPU set TORCH_INDEX to PyTorch's CPU wheel index; unset, pip's own sources are used.
TORCH_INDEX ?=
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test test-slow check format model clean

demo: $(VENV)/.installed
	@HF_HUB_OFFLINE=$(HF_HUB_OFFLINE) $(BIN)/harness demo

test: check model
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term

test-slow: $(VENV)/.installed-dev model
	$(BIN)/python -m pytest -m slow --cov-fail-under=0

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

model: $(VENV)/.installed
	@$(BIN)/python -m harness.checkpoints.fetch smollm2-135m-q4

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch: $(VENV)/bin/python constraints.txt
	@if [ -z "$(TORCH_INDEX)" ] && ! command -v nvidia-smi >/dev/null 2>&1; then \
	  echo "No GPU was found. Unless pip has a CPU wheel of torch at hand, this downloads several GB of CUDA packages;"; \
	  echo "to avoid that: make TORCH_INDEX=<PyTorch's CPU wheel index> demo"; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) \
	  "$$(grep '^torch==' constraints.txt)"
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) runs dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage*
