# Everything runs in .venv, which is made from the pinned lock and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: look demo test slow bench lint docs clean

look: .venv/installed
	$(BIN)/firstsight look

demo: .venv/installed
	$(BIN)/firstsight demo

test: lint
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadscope

slow: .venv/installed
	HYPOTHESIS_PROFILE=slow $(BIN)/python -m pytest -m "slow or hypothesis" tests

bench: .venv/installed
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/tables.py
	$(BIN)/python benchmarks/clustering_scale.py
	$(BIN)/python benchmarks/anomaly_scale.py
	$(BIN)/python benchmarks/look.py

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .docs-venv/installed
	NO_MKDOCS_2_WARNING=1 .docs-venv/bin/mkdocs build --strict

.docs-venv/installed: docs/requirements.txt
	test -x .docs-venv/bin/python || $(PYTHON) -m venv .docs-venv
	.docs-venv/bin/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	touch $@

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "firstsight needs Python >= 3.11; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf .venv .docs-venv site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
