PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := runs/demo
SECONDS ?= 600
SEED ?= 0

# an environment that could not be completed has no pip, and is made again
define make-venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is missing or older than Python 3.11; name another one, as in: make PYTHON=python3.12" >&2; exit 1; }
@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
	{ echo "$(PYTHON) cannot make a virtual environment; on Debian: sudo apt-get install python3-venv" >&2; exit 1; }
endef

.PHONY: demo test check docs fuzz install dev chromium clean

demo: install
	$(BIN)/audiostride prepare demo data/demo
	$(BIN)/audiostride train recipes/demo.yaml --run-dir $(RUN) --overwrite
	$(BIN)/audiostride eval $(RUN)
	$(BIN)/audiostride strides $(RUN)

test: dev chromium check

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "The documentation is in build/site. To search it, too: $(BIN)/python -m http.server --directory build/site"

fuzz: dev
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) --seed $(SEED)

install: $(VENV)/installed
dev: $(VENV)/installed-dev

chromium:
	@.ci/chromium

$(VENV)/installed: pyproject.toml
	$(make-venv)
	@echo "Installing into $(VENV). torch is large: some GB, which take some minutes."
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml
	$(make-venv)
	@echo "Installing into $(VENV). torch is large: some GB, which take some minutes."
	$(BIN)/pip install --quiet --editable .[dev]
	@touch $@ $(VENV)/installed

$(VENV)/installed-docs: pyproject.toml
	$(make-venv)
	@echo "Installing into $(VENV). torch is large: some GB, which take some minutes."
	$(BIN)/pip install --quiet --editable .[docs]
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) data/demo $(RUN)
