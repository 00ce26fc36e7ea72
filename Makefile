# Two commands do all the set-up: `make table2` and `make test`.
VENV ?= .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export MPLBACKEND := Agg
export PYTHONUNBUFFERED := 1

.PHONY: help table2 test lint benchmarks environment environment-mmdet3d
help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

table2: environment ## set up, then make Table 2 of the default scale
	snakemake --cores all results/table2.csv

test: environment ## set up, then check style, types and architecture and run all tests
	$(MAKE) --no-print-directory lint
	pytest -n 2 --dist loadfile

lint: environment ## style, types, architecture
	ruff check .
	ruff format --check .
	mypy
	mypy benchmarks
	lint-imports --no-cache
	snakefmt --check Snakefile workflow
	snakemake --lint > /dev/null

benchmarks: environment ## set up with the libraries to compare with, run every benchmark, write docs/guide/benchmarks.md
	$(VENV)/bin/uv pip install --python $(VENV)/bin/python --quiet --requirements benchmarks/requirements.txt
	python benchmarks/run_all.py

environment: ## set up only: a virtual environment in .venv
	@python3 scripts/bootstrap.py --venv $(VENV)

environment-mmdet3d: ## the same, with mmcv's operators compiled and MMDetection3D; needs a C++ compiler
	@python3 scripts/bootstrap.py --venv $(VENV) --extra mmdet3d
