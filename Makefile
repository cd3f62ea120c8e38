# Needs Python 3.11 or newer and the internet; all that is installed goes into .venv.
#
# Settings go on the line: make demo ENGINE=echo, make run WEB_PORT=9000. Tests too: make test ARGS="-k sandbox".
#
# Only `make test`, `make lint` and ENGINE=vlm install torch. On Linux plain pip takes its CUDA build, several GB. To take
# the CPU build, copy its index address from PyTorch's install page: make test TORCH_ARGS="--index-url ADDRESS".

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_ARGS ?=
ARGS ?=
BIN := .venv/bin
NEEDED := .venv/$(if $(filter vlm,$(ENGINE)),.vlm,.demo)
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo run test lint bench train readme clean

demo: $(NEEDED)
	$(BIN)/pagefan demo

run: $(NEEDED)
	$(BIN)/pagefan up

test: .venv/.test
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.test
	$(BIN)/python -m benchmarks.accuracy $(ARGS)

# Trains the tiny reader from nothing; training/README.md says which fonts and words it needs, and how long it takes.
train: .venv/.test
	$(BIN)/python -m training.train $(ARGS)

# Writes what is made from the code into README.md, docker-compose.yml and docs/checkpoints.md.
readme: .venv/.test
	$(BIN)/python tests/settings_table.py
	$(BIN)/python -m benchmarks.checkpoints

# Leaves data/, where `make run` keeps jobs.
clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-output
	find . -name __pycache__ -not -path "./.git/*" -prune -exec rm -rf {} +

.venv/.demo: .venv/.made pyproject.toml
	$(PIP) install --editable ".[ocr]"
	@touch $@

.venv/.vlm: .venv/.made pyproject.toml
	$(PIP) install $(TORCH_ARGS) "$(TORCH)"
	$(PIP) install --editable ".[vlm]"
	@touch $@

.venv/.test: .venv/.made pyproject.toml
	$(PIP) install $(TORCH_ARGS) "$(TORCH)"
	$(PIP) install --editable ".[ocr,vlm,dev]"
	@touch $@ .venv/.demo .venv/.vlm

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Pagefan needs Python 3.11 or newer, and $(PYTHON) is not that. Name another: make PYTHON=python3.12'; \
		exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@
