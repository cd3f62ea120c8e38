# Needs Python 3.11 or newer and the internet; all that is installed goes into .venv.
#
# Settings go on the line: make demo ENGINE=echo, make run WEB_PORT=9000. Tests too: make test ARGS="-k sandbox".
#
# Every version that is installed stands in requirements.lock. CONTRIBUTING.md says when to run `make lock` and
# `make latest`.
#
# Only `make test`, `make lint` and ENGINE=vlm install torch. uv finds the build for this machine's GPU, or the far
# smaller one for none. Where pip is told of other places than PyPI, by its settings or by
# TORCH_ARGS="--index-url ADDRESS", or uv reaches none, pip installs torch: on Linux the CUDA build of PyPI then,
# several GB with its libraries.
#
# Tests run three files at a time, or four where there are 12 GB, for tests of real processes wait much: two cores and
# 8 GB are enough. TESTERS=2 takes less memory, TESTERS=6 less time on more cores, and ARGS="-n 0 --pdb" runs no test
# beside another.

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_ARGS ?=
ARGS ?=
BIN := .venv/bin
NEEDED := .venv/$(if $(filter vlm,$(ENGINE)),.vlm,.demo)
LOCK := requirements.lock
PROJECTS := pyproject.toml server/pyproject.toml
PIP_INSTALL := -m pip --disable-pip-version-check install
INSTALL := $(BIN)/python $(PIP_INSTALL) --constraint $(LOCK)
UV := uv==0.13.9
TESTERS ?= $(shell awk '/^MemTotal/ { print ($$2 > 11500000 ? 4 : 3) }' /proc/meminfo 2> /dev/null || echo 3)

# $(call install_torch,PYTHON,OPTIONS,WHICH)
define install_torch
	if [ -n "$(TORCH_ARGS)" ] || $(1) -m pip config list | grep -E "find-links|index-url" > /dev/null; then \
		$(1) $(PIP_INSTALL) $(2) $(TORCH_ARGS) "$(3)"; \
	else \
		.venv-lock/bin/uv pip install --python $(1) --torch-backend auto $(2) "$(3)" || \
		$(1) $(PIP_INSTALL) $(2) "$(3)"; \
	fi
endef

# What the test of the TypeScript client needs, where there is Node.js; the test is skipped where there is none.
define install_typescript
	if command -v npm > /dev/null; then \
		mkdir -p .venv/typescript && cp tests/typescript/package*.json .venv/typescript && \
		(cd .venv/typescript && npm ci --ignore-scripts --no-audit --no-fund) || \
		echo "npm could not install what tests/typescript names, so the TypeScript client is not tested."; \
	fi
endef

.PHONY: demo run test lint docs bench train readme pictures lock latest clean

demo: $(NEEDED)
	$(BIN)/pagefan demo

run: $(NEEDED)
	$(BIN)/pagefan up

test: .venv/.test
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# mypy runs twice, for the benchmarks know the tests' helpers by another name, `tests.services`, than the tests do.
lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests

# Builds the docs site into site/; a dead link fails. It fetches nothing, and needs no web server to be read.
docs: .venv/.test
	$(BIN)/python -m mkdocs build --quiet

# All benchmarks in a short form, some minutes; one table. make bench ARGS="queue mixed" runs some.
bench: .venv/.test
	$(BIN)/python -m benchmarks.bench $(ARGS)

# Trains the tiny reader from nothing; training/README.md says which fonts and words it needs, and how long it takes.
train: .venv/.test
	$(BIN)/python -m training.train $(ARGS)

# Writes what is made from the code into README.md, docker-compose.yml and docs/checkpoints.md.
readme: .venv/.test
	$(BIN)/python -m tools.settings_table
	$(BIN)/python -m tools.models_page
	$(BIN)/python -m benchmarks.checkpoints
	$(BIN)/python -m benchmarks.performance

# Takes docs/reader.png and docs/reader.webp of the reader at work; needs a Chromium and some minutes.
pictures: .venv/.test
	$(BIN)/python -m tools.reader_pictures

# Adds to the lock what the two pyproject.toml ask for and the lock has not. ARGS=--upgrade takes the newest of everything.
lock: .venv-lock/.made
	cp $(LOCK) .venv-lock/new
	echo "$(TORCH)" | .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
		--fork-strategy fewest --all-extras --no-header --no-annotate --no-emit-index-url \
		--no-emit-package pagefan --no-emit-package pagefan-server \
		--output-file .venv-lock/new $(ARGS) $(PROJECTS) -
	{ echo "# Every package that Pagefan and its extras install, one version each. Written by \`make lock\`."; \
		grep -v "^#" .venv-lock/new; } > .venv-lock/whole
	mv .venv-lock/whole $(LOCK)

# Runs the tests with the newest versions that the two pyproject.toml allow, without the lock.
latest: .venv-lock/.made
	rm -rf .venv-latest
	$(PYTHON) -m venv .venv-latest
	$(call install_torch,.venv-latest/bin/python,,torch)
	.venv-latest/bin/python $(PIP_INSTALL) --editable . --editable "server[ocr,vlm,s3,dev]"
	.venv-latest/bin/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# Leaves data/, where `make run` keeps jobs.
clean:
	rm -rf .venv .venv-lock .venv-latest build dist site server/build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-output
	find . -name __pycache__ -not -path "./.git/*" -prune -exec rm -rf {} +

.venv/.demo: .venv/.made $(PROJECTS) $(LOCK)
	$(INSTALL) --editable . --editable "server[ocr]"
	@touch $@

.venv/.vlm: .venv/.made .venv-lock/.made $(PROJECTS) $(LOCK)
	$(call install_torch,$(BIN)/python,--constraint $(LOCK),$(TORCH))
	$(INSTALL) --editable . --editable "server[vlm]"
	@touch $@

.venv/.test: .venv/.made .venv-lock/.made $(PROJECTS) $(LOCK) tests/typescript/package-lock.json
	$(call install_torch,$(BIN)/python,--constraint $(LOCK),$(TORCH))
	$(INSTALL) --editable . --editable "server[ocr,vlm,dev]"
	$(install_typescript)
	@touch $@ .venv/.demo .venv/.vlm

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Pagefan needs Python 3.11 or newer, and $(PYTHON) is not that. Name another: make PYTHON=python3.12'; \
		exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv-lock/.made: Makefile
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python $(PIP_INSTALL) "$(UV)"
	@touch $@
