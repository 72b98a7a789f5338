# The forecourt terminal's commands. Each sets up what it needs first (.ci/setup); `make` alone lists them.
# PYTHON=/path/to/python3.13 selects the interpreter.

MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help demo test compiled lint format play features oracle rig swarm replay wires planted powercut canary fuzz kills soak starts nightly reliability \
	machine bench diagrams lock setup clean

PYTHON ?=
WORLD ?= virtual
SEEDS ?= 200
CASES ?= 100000
JOBS ?= 2
BAD ?=
FIRST ?= 1
FEATURE ?=
SEED ?=
ENCRYPTED ?=

VENV := .venv/bin
RUN := $(VENV)/python -m
# Python keeps what it has compiled, whatever the shell says: the tests start it a thousand times.
export PYTHONDONTWRITEBYTECODE :=

help: ## list the commands
	@echo "make TARGET [PYTHON=/path/to/python3.13]"
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | while IFS="	" read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

demo: setup ## the simulated forecourt and the real terminal: three drivers, then the three books side by side
	@$(RUN) tests.demo

test: compiled lint ## every check and every test, the rig included: WORKERS=3
	@$(RUN) pytest -n $(or $(WORKERS),3) --dist loadfile --no-loadscope-reorder

# Of a fresh clone pytest compiles the tests once, beside the lint, and not in each worker.
compiled: setup
	@{ ls tests/__pycache__/conftest.*-pytest-*.pyc || $(RUN) pytest --collect-only -qq; } >build/compiled.log 2>&1 &

lint: setup ## ruff, mypy --strict and the import rules
	@$(VENV)/ruff check --quiet .
	@$(VENV)/ruff format --check --quiet . || { echo "Some files are not formatted: make format"; exit 1; }
	@$(VENV)/mypy
	@$(VENV)/lint-imports --no-cache --no-logo >build/imports.log || { cat build/imports.log; exit 1; }

format: setup ## write the code as ruff formats it
	@$(VENV)/ruff format .

play: setup ## play features: FEATURE="a.feature b.feature" WORLD=virtual|rig
	@test -n "$(FEATURE)" || { echo 'Which? make play FEATURE="tests/features/name.feature ..." WORLD=virtual|rig'; exit 2; }
	@$(RUN) tests.play $(FEATURE) --world $(WORLD)

features: setup ## play every feature, then print the table of features with a tick a row: WORLD=virtual|rig
	@$(RUN) tests.play tests/features --world $(WORLD) --table

oracle: setup ## random cases through `terminal explain` against the rules written apart: CASES=100000 SEED=1 JOBS=2, or malformed ones: BAD=500
	@$(RUN) tests.oracle $(if $(BAD),--bad $(BAD),--cases $(CASES)) --seed $(or $(SEED),1) --jobs $(JOBS)

rig: setup ## play every scenario on the rig, several files at once (make test plays three of each feature there)
	@$(RUN) tests.play tests/features --world rig --jobs 5 --table

swarm: setup ## seeded days on the forecourt with faults and power cuts: SEEDS=200 FIRST=1 JOBS=2
	@$(RUN) tests.simulation swarm --seeds $(SEEDS) --first $(FIRST) --jobs $(JOBS)

replay: setup ## one seed again with its whole trace: SEED=n
	@test -n "$(SEED)" || { echo 'Which? make replay SEED=17'; exit 2; }
	@$(RUN) tests.simulation replay --seed $(SEED)

wires: setup ## every feature of the pumps over each of four wires (make test plays each over two): JOBS=2
	@$(RUN) pytest tests/wires/test_wires.py tests/wires/rest.py -n $(JOBS)

planted: setup ## plant known bugs one by one and show that the swarm finds each
	@$(RUN) tests.simulation planted

powercut: setup ## the power cut anywhere in recorded days of the real store, and disks that fail: STATES=50000 JOBS=2, one again: SEED=n, of an encrypted ledger: ENCRYPTED=1
	@$(RUN) tests.powercut $(if $(SEED),replay --seed $(SEED),run --states $(or $(STATES),50000) --jobs $(JOBS)) $(if $(ENCRYPTED),--encrypted)
	@$(if $(SEED)$(ENCRYPTED),,$(RUN) tests.powercut disk --jobs $(JOBS))

canary: setup ## drivers with canary PINs, numbers and tracks, then a search of all that left the terminal: SESSIONS=1000 SEED=1
	@$(RUN) tests.canary --sessions $(or $(SESSIONS),1000) --seed $(or $(SEED),1)

fuzz: setup ## inputs of others' making through every reader and line master: INPUTS=100000 SEED=1 ENGINE=dice|atheris
	@$(RUN) tests.fuzz --inputs $(or $(INPUTS),100000) --seed $(or $(SEED),1) --engine $(or $(ENGINE),dice)

kills: setup ## the program killed at random moments under load, in the rig: KILLS=1000 SEED=1 JOBS=2
	@$(RUN) tests.endurance kills --kills $(or $(KILLS),1000) --seed $(or $(SEED),1) --jobs $(JOBS)

soak: setup ## a long time at full load in the rig: MINUTES=30
	@$(RUN) tests.endurance soak --minutes $(or $(MINUTES),30)

starts: setup ## starts with a list of a million cards and a full ledger, and how soon a pump is safe after a death
	@$(RUN) tests.endurance starts

nightly: setup ## every campaign at its full length (some six hours), then firmware_notes/reliability.md: ONLY="kills soak"
	@$(RUN) tests.reliability.nightly --jobs $(JOBS) $(foreach name,$(ONLY),--only $(name))

reliability: setup ## firmware_notes/reliability.md from what the last campaigns left
	@$(RUN) tests.reliability

machine: setup ## the service in a virtual machine: udev, USB, hardware watchdog, power cuts (needs root; makes its Debian first, some 10 minutes in all)
	@.ci/machine $(RUN)

bench: setup ## figures beside their floors, also in build/bench.json
	@$(RUN) tests.bench

diagrams: setup ## draw the state machines from their tables into firmware_notes/
	@$(RUN) tests.diagrams

lock: setup ## newest package versions with hashes into .ci/requirements*.txt
	@.ci/lock

setup: ## Debian packages and .venv, when they are missing or the lock changed
	@PYTHON="$(PYTHON)" .ci/setup

clean: ## remove what the commands made
	@rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find terminal drivers hal_sim tests -name __pycache__ -prune -exec rm -rf {} +
