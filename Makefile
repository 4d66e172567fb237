# make run     sets up, then opens the app; without a terminal it trains a short while and reports
# make test    sets up, then runs the tests: about 6 minutes on 2 cores
# make check   style, types and import contract, then the tests
# make test-all, make campaigns    what takes longer: slow tests; attacks on the program, an hour or more
VENV := .venv
BIN := $(VENV)/bin
# Three processes on two cores: many tests wait for a program that they started.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist loadfile
CAMPAIGNS := kill signals ssh disk disk_commands damage owners numbers hostile fuzz_data

.PHONY: run demo test test-slow test-all campaigns lint check clean
.DEFAULT_GOAL := run

run: $(VENV)/ready
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/mqlora-tui; else scripts/headless_demo.sh $(BIN)/mqlora-tui; fi

demo: $(VENV)/ready
	@$(BIN)/mqlora-tui demo

test: $(VENV)/ready-dev
	@echo "Running the tests: about 6 minutes on 2 quiet cores …"
	@$(PYTEST)

test-slow: $(VENV)/ready-dev
	@echo "Running the slow tests: about 4 minutes on 2 quiet cores …"
	@$(PYTEST) -m slow

test-all: test test-slow

campaigns: $(VENV)/ready-dev
	@for name in $(CAMPAIGNS); do echo "campaign $$name …"; $(BIN)/python -m campaigns.$$name || exit; done

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

$(VENV)/ready: pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" scripts/setup.sh $(VENV)
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	@PYTHON="$(PYTHON)" scripts/setup.sh $(VENV) dev
	@touch $@

clean:
	rm -rf $(VENV) $(VENV).log .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
