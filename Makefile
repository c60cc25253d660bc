# `make help` lists the targets. Python 3.11 or 3.12 and make are all a fresh machine needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do $$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
STAMP := $(VENV)/.installed
PACKAGES := $(VENV)/.bench
EXTRAS ?= audio,speech,kernels,search,slurm,ray,reports,dev

.PHONY: help setup system demo test test-all lint format bench report wheel slurm-up slurm-down clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | column -t -s '|'

setup: $(STAMP)  ## make .venv with everything pinned in constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed, none was found; set PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(STAMP)

# chromium: the tests open the report's page in it
system:  ## install what the SLURM, PostgreSQL and browser tests need (Debian or Ubuntu, as root)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge postgresql chromium >/dev/null

demo: setup  ## train a small WaveGrad on embedded speech, evaluate it, write sound and pictures (under 5 minutes)
	$(BIN)/reprise demo

test: setup  ## fast tests: offline, on the CPU
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: setup  ## all tests, the slow ones too
	$(BIN)/python -m pytest -n 2

lint: setup  ## format, lint, types, import arrows, spelling, config and paper files, README's table
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests conf docs benchmarks README.md Makefile
	$(BIN)/reprise check --all
	$(BIN)/reprise report --root outputs/reproduction --readme README.md --check

format: setup  ## rewrite files in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

report: setup  ## the report of outputs/reproduction, and the table in the README
	$(BIN)/reprise report --root outputs/reproduction --readme README.md

$(PACKAGES): $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps denoising-diffusion-pytorch
	@touch $(PACKAGES)

bench: $(PACKAGES)  ## measure speed, ratios within one run; installs the packages to compare with
	$(BIN)/python -m benchmarks

wheel: setup  ## build a wheel into dist/, conf/ inside it
	$(BIN)/python -m build --wheel

slurm-up:  ## start a private SLURM with two virtual nodes below .slurm/
	@scripts/slurm_up.sh .slurm

slurm-down:  ## stop it, cancelling its jobs
	@scripts/slurm_down.sh .slurm

clean:  ## delete what was built or cached here; outputs/ stays
	scripts/slurm_down.sh .slurm 2>/dev/null
	rm -rf .slurm $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache src/*.egg-info
