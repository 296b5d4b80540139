# Each target sets up what it needs; a second run starts at once.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := pyproject.toml uv.lock tools/bootstrap.py

TESTS = $(BIN)/python -m pytest -n $(or $(WORKERS),auto) --dist loadgroup --no-loadscope-reorder --durations=20

# Tests start our programs thousands of times: our modules are compiled once, whatever the environment asks for.
unexport PYTHONDONTWRITEBYTECODE
COMPILED = $(BIN)/python -m compileall -q -x 'ansible_collections|templates' orchestrator

.DEFAULT_GOAL := help
.PHONY: help demo test long journeys crash-sweep sim planted-bugs chaos hostile rollback-proof workers servers scale growth unchanged leak-scan api-conformance load authz-matrix approvals audit-mutate calendar isolation browser container browser-setup checks bench docs clean

help: ## Show this list.
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: .venv/.run ## Promote a shop on this machine, and roll back a bad release (KEEP=1 keeps the hosts; SERVE=1 PORT=8750 serves it).
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python -m tools.demo $(if $(KEEP),--keep) $(if $(SERVE),--serve) $(if $(PORT),--port $(PORT))

test: .venv/.dev ## Run the tests on the real engines, except the long ones.
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python tools/bubblewrap.py
	@$(BIN)/python tools/debian_programs.py
	@$(BIN)/python tools/sign_in_provider.py
	@$(BIN)/python tools/api_conformance.py
	@$(COMPILED)
	@$(TESTS) -m "not long and not browser" $(ARGS)

long: .venv/.dev ## Run the long tests: journeys of each kind (`make journeys` runs all), crashes of engines, short campaigns.
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python tools/debian_programs.py
	@$(COMPILED)
	@$(TESTS) -m "long and not rare and not browser" $(ARGS)

journeys: .venv/.dev ## Run all journeys only; STORE=postgres keeps the journals in Postgres, SERVER=1 acts at a server.
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(COMPILED)
	@STORE=$(or $(STORE),sqlite) $(TESTS) tests/journeys $(ARGS)

crash-sweep: .venv/.dev ## Kill at every point of a promotion, simulated and (REAL=points, SHIFTS=0,1) on the real engines, and recover.
	@$(BIN)/python -m tests.campaigns.sweep --depth $(or $(DEPTH),2) --stride $(or $(STRIDE),7)
	@$(BIN)/python -m tests.campaigns.request_sweep
	@$(BIN)/python -m tests.campaigns.state_tables --runs 300
	@$(BIN)/python -m tests.campaigns.state_tables --runs 20 --store sqlite
	@$(BIN)/python -m tests.campaigns.real --points $(or $(REAL),1000)
	@$(BIN)/python -m tests.campaigns.chains$(if $(SHIFTS), --shifts $(SHIFTS))
	@$(BIN)/python -m tests.campaigns.prunes

sim: .venv/.dev ## Random promotions in a simulated world of faults: N=200000 SEED=1 (RATE=10000 runs a minute at least).
	@$(BIN)/python -m tests.campaigns.request_sweep --runs 5000$(if $(SEED), --seed $(SEED))
	@$(BIN)/python -m tests.campaigns.state_tables --runs 2000$(if $(SEED), --seed $(SEED))
	@$(BIN)/python -m tests.campaigns.sim --runs $(or $(N),200000) $(if $(SEED),--seed $(SEED)) --rate $(or $(RATE),0)

planted-bugs: .venv/.dev ## Plant bugs in the engine, and check that the campaigns find every one.
	@$(BIN)/python -m tests.campaigns.bugs

chaos: .venv/.dev ## Inject faults into real processes, networks, disks and databases: N=100 SEED=1 ROWS=14,20-26.
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python -m tests.campaigns.chaos --runs $(or $(N),0) $(if $(SEED),--seed $(SEED)) $(if $(ROWS),--rows $(ROWS))

# A terminal's own LINES, which is its height, chooses no lines of attack.
CHOSEN = $(if $(filter command,$(origin LINES)),$(LINES))
hostile: .venv/.dev ## Hostile packages, backups, answers and code, generated: N=100000 answers, CASES=100 of each line, SEED=1 LINES=S8,S17 (WITHOUT=all removes defences).
	@$(BIN)/python -m tests.campaigns.hostile --cases $(or $(CASES),0) --seed $(or $(SEED),1)$(if $(CHOSEN), --lines $(CHOSEN))$(if $(WITHOUT), --without '$(WITHOUT)')
	@$(if $(CHOSEN)$(WITHOUT),,$(BIN)/python -m tests.campaigns.crowd --connections $(or $(CONNECTIONS),10000))
	@$(if $(CHOSEN)$(WITHOUT),,$(BIN)/python -m tests.campaigns.hostile.answers --count $(or $(N),100000) --seed $(or $(SEED),1))

rollback-proof: .venv/.dev ## Force rollbacks at random points, and compare every host with its earlier state: N=200 SEED=1 (ATTEMPT=1:17).
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python -m tests.campaigns.rollback --runs $(or $(N),200) $(if $(SEED),--seed $(SEED)) $(if $(LANES),--lanes $(LANES)) $(if $(ATTEMPT),--attempt $(ATTEMPT))

workers: .venv/.dev ## Run promotions over 1, 2 and 4 workers on Postgres, killed at random: N=1000 COUNTS=1,2,4 SEED=1.
	@$(BIN)/python -m tests.campaigns.workers --roots $(or $(N),1000)$(if $(COUNTS), --workers $(COUNTS)) $(if $(SEED),--seed $(SEED))

servers: .venv/.dev ## Promote and approve at two servers on Postgres, killed at random and at chosen places: N=200 SEED=1.
	@$(BIN)/python -m tests.campaigns.servers --promotions $(or $(N),200)$(if $(SEED), --seed $(SEED))

# `$(or …)` separates its arguments by commas: a list with one is a variable.
BOTH_STORES = sqlite,postgres
scale: .venv/.dev ## Fill a store, and measure what each list and document costs: ENVIRONMENTS=500 RUNS=100000 REQUESTS=20000 STORES=sqlite,postgres.
	@$(BIN)/python -m tests.campaigns.scale --environments $(or $(ENVIRONMENTS),500) --runs $(or $(RUNS),100000) --requests $(or $(REQUESTS),20000) --stores $(or $(STORES),$(BOTH_STORES))$(if $(ARGS), $(ARGS))

load: .venv/.dev ## Load a server of a large project, alone and while a promotion runs: ENVIRONMENTS=500 RUNS=100000 SECONDS=600 RATE=50 LISTENERS=200.
	@PYTHONPATH="$$($(BIN)/python tools/server_sqlite.py)" $(BIN)/python -m tests.campaigns.load --environments $(or $(ENVIRONMENTS),500) --runs $(or $(RUNS),100000) --seconds $(or $(SECONDS),600) --rate $(or $(RATE),50) --listeners $(or $(LISTENERS),200)$(if $(ARGS), $(ARGS))

growth: .venv/.dev ## Promote many times with prunes between, and measure how the state folder grows: N=1000.
	@$(BIN)/python -m tests.campaigns.growth --promotions $(or $(N),1000)$(if $(ARGS), $(ARGS))

unchanged: .venv/.dev ## Run a corpus of projects by hand and through the product, and compare: ARGS="NAME …" JOBS=3 (ARGS=-v prints more, ARGS=--undo reverts each fix).
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python -m tests.unchanged --jobs $(or $(JOBS),3) $(ARGS)

leak-scan: .venv/.dev ## Search all that runs leave for planted secrets: 8 kinds in 5 encodings; success, failure, crash.
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python -m tests.leak_scan

AUTHZ = tests/app/test_rights.py tests/server/test_route_table.py tests/server/test_page_rights.py tests/server/test_release_rights.py tests/server/test_changes.py::test_every_route_asks_for_the_rights_of_its_use_cases
authz-matrix: .venv/.dev ## Call every use case, route and method as every role, and compare the buttons of every page.
	@$(BIN)/python -m pytest -q -n 0 $(AUTHZ)

api-conformance: .venv/.dev ## Call every route of the API as it is described, and in other ways: EXAMPLES=50 SEED=1.
	@$(BIN)/python tools/api_conformance.py
	@EXAMPLES=$(or $(EXAMPLES),50) SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q -n 0 --timeout 7200 tests/server/test_api_conformance.py

audit-mutate: .venv/.dev ## Change a recorded audit stream at random, and check that verification names every change: N=100000 SEED=1.
	@$(BIN)/python -m tests.campaigns.audit_mutate --runs $(or $(N),100000) --seed $(or $(SEED),1)

approvals: .venv/.dev ## All orders of requests, votes, edits, freezes, starts and crashes; a random share of the longest on databases: MEMORY=7 SQLITE=5 SHARE=1 JOBS=1 SEED=1.
	@$(BIN)/python -m tests.campaigns.approvals --memory $(or $(MEMORY),7) --sqlite $(or $(SQLITE),5) --share $(or $(SHARE),1) --jobs $(or $(JOBS),1) --seed $(or $(SEED),1)

calendar: .venv/.dev ## Compare the calendar with a naive implementation, and read calendar files of other programs: N=5000 SEED=1.
	@$(BIN)/python -m pytest -q -n 0 tests/domain/calendar tests/adapters/calendar_file
	@$(BIN)/python -m tests.campaigns.calendar --examples $(or $(N),5000)$(if $(SEED), --seed $(SEED))

isolation: .venv/.dev ## Run all journeys with isolation and without it; ARGS selects others.
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python tools/bubblewrap.py
	@$(COMPILED)
	@ORCHESTRATOR_JOB_ISOLATION=required $(TESTS) $(or $(ARGS),tests/journeys tests/adapters tests/isolation)
	@ORCHESTRATOR_JOB_ISOLATION=off $(TESTS) $(or $(ARGS),tests/journeys tests/adapters)

browser-setup: .venv/.dev ## Install what `make browser` needs: Debian's Chromium without a window (as root; otherwise the command is printed), axe-core.
	@$(BIN)/python tools/browser.py

browser: .venv/.dev ## Use every page in a real browser: stories by clicks, live updates, accessibility; pictures in build/browser.
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python -m pytest -n 0 -m browser tests/browser $(ARGS)

container: .venv/.dev ## Execute the steps of examples/server/Containerfile in a root file system of Debian's packages, as root.
	@$(BIN)/python tools/debian_programs.py bwrap mmdebstrap
	@$(BIN)/python -m pytest -n 0 -m "long and rare" tests/packaging/test_operation_files.py $(ARGS)

checks: .venv/.dev ## Check lint, types, imports, language, sizes and generated pages.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tools/docs/generate.py --check
	@$(BIN)/python tools/language.py
	@$(BIN)/python tools/limits.py

docs: .venv/.dev ## Write the generated pages.
	@$(BIN)/python tools/docs/generate.py

bench: .venv/.dev ## Compare times with the same work by hand.
	@$(BIN)/orchestrator engine install --yes >/dev/null
	@$(BIN)/orchestrator hosts install --yes >/dev/null
	@$(BIN)/python -m bench $(ARGS)
	@$(BIN)/python -m bench.isolation

clean: ## Remove build results; the caches in the home folder stay.
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.venv/.run: $(SOURCES)
	@$(PYTHON) tools/bootstrap.py
	@touch $@

.venv/.dev: $(SOURCES)
	@$(PYTHON) tools/bootstrap.py --dev
	@touch $@ .venv/.run
