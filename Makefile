# make run     sets up, then opens the app; without a terminal it trains a short while and reports
# make test    sets up, then runs the tests: about 7 minutes on 2 cores
# make check   style, types and import contract, then the tests
# make pictures   draws the pictures of the screens again that tests compare; look at what git diff shows
# make texts   brings the catalogues of translations up to date with the source; lists what is untranslated
# make screens, make tour    renews the pictures and the recording in docs/screens from the real app
# make test-all, make campaigns    what takes longer: slow tests too, some 27 minutes; attacks on the program, an hour or more
VENV := .venv
# Programs are run by their module: launchers hold the folder's path, and break where that has a $ or a quote.
PY := $(VENV)/bin/python -m
# Three processes on two cores: many tests wait for a program that they started.
PYTEST := OPENBLAS_NUM_THREADS=1 $(PY) pytest -n 3 --dist worksteal

PROJECT ?= $(VENV)/screens/farense
MODEL ?=

.PHONY: run demo test test-slow test-all campaigns lint check pictures texts screens tour update ready ready-dev clean
.DEFAULT_GOAL := run

run: ready
	@if [ -t 0 ] && [ -t 1 ]; then $(PY) tui; else scripts/headless_demo.sh $(VENV); fi

demo: ready
	@$(PY) tui demo

test: ready-dev
	@echo "Running the tests: about 7 minutes on 2 quiet cores …"
	@$(PYTEST)

test-slow: ready-dev
	@echo "Running the slow tests: about 20 minutes on 2 quiet cores …"
	@$(PYTEST) -m slow

test-all: test test-slow

campaigns: ready-dev
	@$(PY) pytest -v -m 'campaign and not long'

lint: ready-dev
	$(PY) ruff check .
	$(PY) ruff format --check .
	$(PY) mypy
	$(VENV)/bin/python -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

check: lint test

pictures: ready-dev
	@$(PY) pytest -q tests/tui/test_pictures.py -m '' --update-pictures

# The texts of the source into the catalogues, and the list of those that are still to be translated.
texts: ready-dev
	@$(PY) babel.messages.frontend -q extract -F babel.cfg --add-location=file --no-wrap -o $(VENV)/mqlora.pot engine tui
	@$(PY) babel.messages.frontend -q update -D mqlora -d engine/locale -i $(VENV)/mqlora.pot --no-wrap --no-fuzzy-matching --ignore-obsolete
	@$(PY) scripts.untranslated

# From a project with a finished run; in an empty folder one is made first, in some 20 minutes on 2 quiet cores.
screens: ready-dev
	@MQLORA_LANG=en $(PY) scripts.screens "$(PROJECT)"

tour: ready-dev
	@$(PY) scripts.tour $(MODEL)

update:
	@PYTHON="$(PYTHON)" scripts/update.sh
	@$(MAKE) test

ready:
	@PYTHON="$(PYTHON)" scripts/setup.sh $(VENV)

ready-dev: ready
	@PYTHON="$(PYTHON)" scripts/setup.sh $(VENV) dev

clean:
	rm -rf $(VENV) $(VENV).log $(VENV).lock .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
