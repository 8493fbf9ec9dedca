# `make demo` shows the main job, `make test` runs every test, `make check` the fast ones with lint, types and import rules.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check
# One line that moves while pip works, and every error in full.
MOVING := 2>&1 | awk '/^ *error|^ERROR/ {print; next} /^(Collecting|Installing|Successfully)/ {printf "\r  %-70.70s", $$0; fflush()} END {printf "\r%-74s\r", ""}'

.PHONY: help demo test check lint types imports unit bench load chaos train-ich evaluate-ich train-ais evaluate-ais train-tumour evaluate-tumour train-enhance evaluate-enhance evaluate-cases chart messages images lock clean

help:
	@echo "make demo    run the main job on demonstration studies and keep the pages up (ONCE=1, DICOM=DIR)"
	@echo "make test    install what the tests need and run them all"
	@echo "make check   lint, types, import rules and unit tests"
	@echo "make bench   measurements into bench-results/ (BENCH=name for one)"
	@echo "make load    ten simulated minutes of a hospital, and the capacity model against them"
	@echo "make chaos   every process killed, paused, cut off, slowed; a full disk, a clock that jumps (root)"

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	@echo "Installing Nightjar into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements/runtime.txt $(MOVING)
	@$(PIP) --no-deps -e . $(MOVING)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt tests/install-kubernetes-tools
	@echo "Installing the checks and tests"
	@$(PIP) -r requirements/dev.txt $(MOVING)
	@tests/install-kubernetes-tools $(BIN)
	@touch $@

$(VENV)/.train: $(VENV)/.dev requirements/train.txt
	@echo "Installing what training and its tests need"
	@$(PIP) -r requirements/train.txt $(MOVING)
	@touch $@

demo: $(VENV)/.runtime
	@$(BIN)/nightjar demo $(if $(ONCE),--once) $(if $(DICOM),--dicom "$(DICOM)")

lint: $(VENV)/.train
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.train
	$(BIN)/mypy

imports: $(VENV)/.train
	$(BIN)/lint-imports

unit: $(VENV)/.train
	$(BIN)/pytest -q -n auto tests/unit

check: lint types imports unit

test: $(VENV)/.train
	tests/install-debian-packages
	$(BIN)/pytest

bench: $(VENV)/.train
	$(BIN)/python -m load_tests $(BENCH)

# Ten simulated minutes of a hospital's busiest hour, and the capacity model held against them.
load: $(VENV)/.train
	$(BIN)/python -m load_tests load capacity

# Every process killed, paused, cut off and slowed in turn; root, and half an hour.
chaos: $(VENV)/.train
	tests/install-debian-packages
	$(BIN)/python -m load_tests chaos

train-ich: $(VENV)/.train
	@test -n "$(LABELMAPS)" || { echo "Name the folder of label maps: make train-ich LABELMAPS=DIR"; exit 2; }
	$(BIN)/python -m models.ich.train --labelmaps "$(LABELMAPS)" --out training-runs/ich

# The table of docs/models/ich.md: studies that training never saw, through the model as it is served.
evaluate-ich: $(VENV)/.train
	@test -n "$(LABELMAPS)" || { echo "Name the folder of label maps: make evaluate-ich LABELMAPS=DIR"; exit 2; }
	$(BIN)/python -m models.ich.train.heldout --labelmaps "$(LABELMAPS)" --out evaluation-ich/data
	$(BIN)/nightjar evaluate --task ich --synthetic --dataset "200 synthetic heads never seen in training" \
	  --images evaluation-ich/data/images --truth evaluation-ich/data/truth --out evaluation-ich/report

# Synthetic studies, and the network on them; models.ais.train.export and models.ais.train.fit come after it.
train-ais: $(VENV)/.train
	@test -n "$(LABELMAPS)" || { echo "Name the folder of label maps: make train-ais LABELMAPS=DIR"; exit 2; }
	$(BIN)/python -m models.ais.train.pool --labelmaps "$(LABELMAPS)" --out training-runs/ais/pool --studies 48
	$(BIN)/python -m models.ais.train --labelmaps "$(LABELMAPS)" --pool training-runs/ais/pool --out training-runs/ais

# The tables of docs/models/ais.md, likewise: the network beside the rule.
evaluate-ais: $(VENV)/.runtime
	@test -n "$(LABELMAPS)" || { echo "Name the folder of label maps: make evaluate-ais LABELMAPS=DIR"; exit 2; }
	$(BIN)/python -m models.ais.train.heldout --studies 40 --labelmaps "$(LABELMAPS)" --out evaluation-ais/data
	for method in network adc620; do \
	  $(BIN)/nightjar evaluate --task ais --method $$method --synthetic \
	  --dataset "40 synthetic diffusion studies never seen before" \
	  --images evaluation-ais/data/images --truth evaluation-ais/data/truth --out evaluation-ais/$$method || exit 1; done
	$(BIN)/python -m models.ais.train.table network=evaluation-ais/network adc620=evaluation-ais/adc620

# Likewise; models.tumour.train.export and models.tumour.train.fit come after it.
train-tumour: $(VENV)/.train
	@test -n "$(LABELMAPS)" || { echo "Name the folder of label maps: make train-tumour LABELMAPS=DIR"; exit 2; }
	$(BIN)/python -m models.tumour.train.pool --labelmaps "$(LABELMAPS)" --out training-runs/tumour/pool
	$(BIN)/python -m models.tumour.train --pool training-runs/tumour/pool --out training-runs/tumour

# The tables of docs/models/tumour.md: studies that training never saw, through the model as it is served.
evaluate-tumour: $(VENV)/.runtime
	@test -n "$(LABELMAPS)" || { echo "Name the folder of label maps: make evaluate-tumour LABELMAPS=DIR"; exit 2; }
	$(BIN)/python -m models.tumour.train.heldout --studies 30 --labelmaps "$(LABELMAPS)" --out evaluation-tumour/data
	$(BIN)/nightjar evaluate --task tumour --synthetic --dataset "30 synthetic tumour studies never seen before" \
	  --images evaluation-tumour/data/images --truth evaluation-tumour/data/truth --out evaluation-tumour/report
	$(BIN)/python -m models.tumour.train.score evaluation-tumour/data --out evaluation-tumour/score.json

train-enhance: $(VENV)/.train
	@test -n "$(MR)" -a -n "$(LABELMAPS)" || { echo "Name both folders: make train-enhance MR=DIR LABELMAPS=DIR"; exit 2; }
	$(BIN)/python -m models.enhance.train --mr "$(MR)" --labelmaps "$(LABELMAPS)" --out training-runs/enhance

# The tables of docs/models/enhance.md: whole images acquired again with fewer lines, through the model as it is served.
evaluate-enhance: $(VENV)/.train
	@test -n "$(MR)" -a -n "$(LABELMAPS)" || { echo "Name both folders: make evaluate-enhance MR=DIR LABELMAPS=DIR"; exit 2; }
	$(BIN)/python -m models.enhance.train.heldout --mr "$(MR)" --labelmaps "$(LABELMAPS)" --out evaluation-enhance/data
	$(BIN)/nightjar evaluate --task enhance --dataset "two real volumes never seen" \
	  --images evaluation-enhance/data/real --out evaluation-enhance/real
	$(BIN)/nightjar evaluate --task enhance --synthetic --dataset "four synthetic heads never seen" \
	  --images evaluation-enhance/data/drawn --out evaluation-enhance/drawn

# Real cases that may be looked at, a folder of reports each; with the reports above, load_tests.accuracy reads them.
evaluate-cases: $(VENV)/.dev
	@test -n "$(CASES)" || { echo "Name the folder of cases: make evaluate-cases CASES=DIR"; exit 2; }
	$(BIN)/python -m load_tests.cases "$(CASES)" evaluation-cases/data
	for task in ich ais tumour; do \
	  $(BIN)/nightjar evaluate --task $$task --dataset "one real case, looked at" --images evaluation-cases/data/$$task/images \
	  --truth evaluation-cases/data/$$task/truth --out evaluation-cases/$$task || exit 1; done

# What the chart takes from the code, and the plain manifests of k8s/nightjar.
chart: $(VENV)/.dev
	$(BIN)/python helm/generate.py

# The catalogues of the pages' languages, from code, templates and scripts; says how many messages lack a translation.
messages: $(VENV)/.runtime
	$(BIN)/python -m services.languages.extract

# The three images, with their lists of parts (SBOM), by the container engine named.
images:
	images/build $(ENGINE)

lock: $(VENV)/.dev
	$(PIP) --quiet uv
	for name in runtime parts dev train; do \
	  $(BIN)/uv pip compile --quiet --upgrade --no-header --no-annotate --no-emit-index-url --python-version 3.11 \
	    requirements/$$name.in -o requirements/$$name.txt; done
	sed -i 's/+cpu//' requirements/train.txt

clean:
	rm -rf $(VENV) demo-out
