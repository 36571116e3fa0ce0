PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := runs/demo

.PHONY: demo test check install dev chromium clean

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
	$(BIN)/pytest

install: $(VENV)/installed
dev: $(VENV)/installed-dev

chromium:
	@.ci/chromium

$(VENV)/installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment; on Debian: sudo apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make a virtual environment; on Debian: sudo apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --editable .[dev]
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) data/demo $(RUN)
