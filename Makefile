# make demo    segment a synthetic scan, picture and report on disk, and review it in the browser
# make check   what changes most often needs: linters and the tests that bear no marker
# make test    lint and all tests
# All set up .venv first; once that is done, they start in seconds. PYTHON=... chooses another Python.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The first that runs, is in range and can make an environment (Debian ships venv as a package of its own).
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		>/dev/null 2>&1 && echo $$python && break; done)

# Where nobody looks (continuous integration, no display), the page is served, checked, and that is all.
CHECK := $(shell if [ -n "$$CI" ] || { [ "$$(uname -s)" = Linux ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ]; }; then \
	echo --check; fi)

# Tests start hundreds of processes: without bytecode each compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check test lint screenshots requirements-hashed sbom clean

demo: $(INSTALLED)
	$(BIN)/mtctl phantom -o demo
	$(BIN)/mtctl segment demo/phantom-*.image.nrrd -o demo/result --maps all --overwrite
	$(BIN)/mtctl evaluate --prediction demo/result --truth demo
	@echo "The picture:" demo/result/*.png
	@echo "The report: " demo/result/*.json
	$(BIN)/mtctl review demo $(CHECK)

# One thread a process: two workers that each start torch threads for all cores take longer than one.
# Files in the order of Testing/conftest.py: the long ones first.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: lint
	$(PYTEST) -m "not (slow or host or browser or package or host_self)"

# The tests of the stand-in for Slicer itself run when Testing/host changed: in the last commit or in the working tree.
# Without a commit before the last to compare with, they run too.
test: lint
	$(PYTEST) -m "$$(git diff --quiet HEAD~1 -- Testing/host 2>/dev/null && echo 'not host_self')"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The pictures of the module and of the page for the README, from phantoms.
screenshots: $(INSTALLED)
	PYTHONPATH=Testing $(BIN)/python Testing/host/screenshots.py
	PYTHONPATH=Testing $(BIN)/python Testing/browser/screenshots.py

# Every package that mtctl needs on this system, with its one version and its hash: dist/requirements-hashed.txt.
requirements-hashed: $(INSTALLED)
	$(BIN)/python Testing/setup/hashed_requirements.py

# What is installed in an environment, as CycloneDX: dist/sbom.cdx.json. Its tool has an environment of its own.
ENVIRONMENT ?= $(VENV)
RELEASE := build/release
sbom: $(INSTALLED)
	@$(RELEASE)/bin/python -c '' 2>/dev/null || $(BIN)/python -m venv --clear $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --constraint constraints.txt cyclonedx-bom
	@mkdir -p dist
	$(RELEASE)/bin/cyclonedx-py environment --pyproject pyproject.toml -o dist/sbom.cdx.json $(ENVIRONMENT)/bin/python
	@echo "The components: dist/sbom.cdx.json"

$(INSTALLED): pyproject.toml constraints.txt
	@sh Testing/setup/system_libraries.sh
	@if [ -z "$(PYTHON)" ] && ! [ -x $(BIN)/python ]; then \
		echo "No Python 3.11, 3.12 or 3.13 with venv found. Install one (on Debian and Ubuntu also its -venv" \
			"package), or name it: make PYTHON=/path/to/python"; exit 1; fi
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf build demo dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
