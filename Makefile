# Every target makes its own environment in .venv first. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

.PHONY: help demo test fuzz lint types evaluate benchmark clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: $(READY)  ## segment a synthetic CT, print the scores, write demo-output/
	$(RUN) -m SpineSegmentationLib demo --output demo-output

test: $(READY)  ## all tests
	$(RUN) -m pytest

fuzz: $(READY)  ## 10,000 damaged files of every kind through every reader (minutes; an hour on a busy computer)
	FUZZ_RUNS=10000 $(RUN) -m pytest Testing/io/test_fuzz.py

lint: $(READY)  ## style, common mistakes, and which room may import which
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports --no-logo

types: $(READY)  ## whether the library's types agree (about a minute)
	$(RUN) -m mypy

evaluate: $(READY)  ## accuracy and robustness on validation scans (DATA=folder with ct/ and full/), and on phantoms
	$(RUN) benchmarks/accuracy.py $(DATA)
	$(RUN) benchmarks/robustness.py $(DATA)

benchmark: $(READY)  ## time and memory
	for name in edits evaluate phantom pipeline resample startup; do $(RUN) benchmarks/$$name.py || exit 1; done

clean:  ## remove the environment and what was made
	rm -rf $(VENV) demo-output build *.egg-info .pytest_cache .hypothesis .ruff_cache .import_linter_cache .mypy_cache

$(READY): requirements.txt pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --disable-pip-version-check --quiet -r requirements.txt
	$(RUN) -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	touch $@
