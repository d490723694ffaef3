# Kadeploy. `make help` lists what can be made. Everything that a target needs, it makes or installs itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := build/stamps
# grpc's own words on each try to reach a service that is not there yet would only frighten.
export GRPC_VERBOSITY ?= NONE
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The lab's namespaces need root; lab/as-root uses sudo where it must and says so where it cannot.
AS_ROOT := lab/as-root

NODES ?= 2
KEEP ?=
# Tests at once, where no machines boot (those have the host to themselves). More than processors: many wait for others.
WORKERS ?= 3
ENVIRONMENT ?= debian
KEY := build/keys/cluster_ed25519
PROTOS := $(shell find protos/kadeploy -name '*.proto')
NODE_SCRIPTS := $(addprefix deployenv/kadeploy_deployenv/rootfs/,init usr/sbin/kadeploy-release-disk \
  $(addprefix usr/lib/kadeploy/,announce boot-order console console-line dhcp disks network start))
# What is released, each with a pyproject.toml of its own. The lab is beside them: part of a checkout alone.
DISTRIBUTIONS := $(patsubst %/pyproject.toml,%,$(wildcard $(addsuffix /pyproject.toml,protos services/* clients clients/* deployenv)))
SOURCES := protos/generate.py protos/hatch_build.py protos/reference.py docs/render_errors.py docs/examples/python \
  requirements/lock.py debian/manual.py services clients lab \
  deployenv tests

# Runs tests. With AGAIN=1 those that failed run once more, alone: several workers on few processors starve the tests of
# crowds, kills and clocks. The output names them. What fails twice has failed.
define pytest
$(AS_ROOT) $(BIN)/python -m pytest $(1) $(2) $(PYTEST_ARGS) $(if $(AGAIN),|| { echo "Failed once; run again alone:" \
	  && $(AS_ROOT) $(BIN)/python -m pytest $(1) --last-failed --last-failed-no-failures none $(PYTEST_ARGS); })
endef

##@ The two commands

.PHONY: demo
demo: root ready environment-$(ENVIRONMENT) ## Two blank machines boot over PXE and get a Debian. NODES=4, KEEP=1 (leaves it up)
	$(AS_ROOT) $(BIN)/python -m kadeploy_demo run --nodes $(NODES) --environment $(ENVIRONMENT) $(if $(KEEP),--keep)

.PHONY: test
test: root ready environment-tiny environment-raw ## All tests, real PXE deployments in the lab among them
	lab/setup-host docs/examples/packages.txt
	$(call pytest,-m "not lab and not hardware and not compose and not packages and not systemd",--numprocesses $(WORKERS))
	$(call pytest,-m lab,)

##@ Work

.PHONY: test-fast
test-fast: setup proto ## All tests but the thorough ones and those that boot machines (under 2 minutes)
	$(BIN)/python -m pytest -m "not lab and not hardware and not compose and not packages and not systemd and not thorough" --numprocesses $(WORKERS) $(PYTEST_ARGS)

.PHONY: test-lab
test-lab: root ready environment-tiny environment-raw ## The tests that boot machines
	$(AS_ROOT) $(BIN)/python -m pytest -m lab $(PYTEST_ARGS)

.PHONY: test-hardware
test-hardware: root setup proto deployenv-hardware environment-tiny-hardware ## Deployments on machines with other parts than virtio's (15 minutes)
	$(AS_ROOT) $(BIN)/python -m pytest -m hardware $(PYTEST_ARGS)

.PHONY: test-compose
test-compose: root setup proto ## The images and compose.yaml, on a container engine of its own (2 minutes)
	$(AS_ROOT) $(BIN)/python -m pytest -m compose $(PYTEST_ARGS)

.PHONY: test-packages
test-packages: root deb deployenv ## The Debian packages and docs/install.md, in Debians of their own (6 minutes)
	$(MAKE) deb SUITE=trixie
	$(AS_ROOT) $(BIN)/python -m pytest -m packages $(PYTEST_ARGS)

.PHONY: test-systemd
test-systemd: root ready deb environment-tiny environment-debian-host ## The packages on a machine with systemd (8 minutes)
	$(AS_ROOT) $(BIN)/python -m pytest -m systemd $(PYTEST_ARGS)

.PHONY: lint
lint: proto ## Contracts, style, layers, shell scripts, commit subjects
	$(BIN)/buf lint build/protos/descriptors.binpb --config protos/buf.yaml
	$(BIN)/buf breaking build/protos/descriptors.binpb --against protos/released.binpb --config protos/buf.yaml
	$(BIN)/python protos/reference.py --check docs/api.md
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/shellcheck lab/as-root lab/setup-host .ci/run lab/environments/raw/fill-image docs/examples/batch/* \
	  docs/examples/go/build docs/examples/buf-curl/call docs/examples/ci/deploy-and-test \
	  services/compose/prepare-site services/compose/install-environment services/compose/check-tftp .githooks/* debian/build \
	  tests/containers/enter-engine tests/containers/stand-ins/*
	$(BIN)/shellcheck --external-sources --shell=dash $(NODE_SCRIPTS)
	$(BIN)/hadolint services/Dockerfile
	.githooks/check-subjects

.PHONY: type
type: proto ## Types, strictly
	$(BIN)/mypy $(SOURCES)

.PHONY: fmt
fmt: proto ## Format the code and the contracts
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format --write protos

.PHONY: check
check: lint type test ## What a change must pass

.PHONY: golden
golden: proto ## Rewrite the golden boot files; review the diff
	KADEPLOY_GOLDEN=rewrite $(BIN)/python -m pytest -q tests/unit/bootctl

.PHONY: docs
docs: proto ## Rewrite the generated parts of the documents, and the samples of the settings
	$(BIN)/python -m kadeploy_cli.reference docs/commands.md
	$(BIN)/python protos/reference.py docs/api.md
	$(BIN)/python -m kadeploy3_cli.coming_from docs/coming-from-kadeploy.md
	$(BIN)/python docs/render_errors.py docs/errors.md
	for service in inventory deployer bootctl; do \
	  $(BIN)/python -m kadeploy_edge.settings_sample "kadeploy_$$service.settings" "services/$$service/$$service.toml.sample"; \
	done
	$(BIN)/python -m kadeploy_edge.settings_sample kadeploy_cli.login.agent_command clients/login-agent.toml.sample

.PHONY: proto
proto: $(STAMPS)/proto ## Generate the stubs

# Texts in all, and what they are drawn from.
COUNT ?= 1000000
SEED ?= 1

.PHONY: fuzz
fuzz: setup proto ## Strange texts for every parser, each within a bound of processor time: COUNT=1000000; build/fuzz/fuzz.json
	$(BIN)/python -m tests.fuzz $(COUNT) $(SEED)

##@ Releases

.PHONY: released-contracts
released-contracts: proto ## Keep the contracts as those of a release, which later ones may not break
	$(BIN)/buf build build/protos/descriptors.binpb --exclude-source-info --output protos/released.binpb

.PHONY: dist
dist: setup ## An sdist and a wheel of each distribution, in dist/
	rm -rf dist
	for folder in $(DISTRIBUTIONS); do $(BIN)/uv build --quiet --out-dir dist "$$folder"; done

.PHONY: deb
deb: setup proto ## Debian packages for this Debian, in build/deb; SUITE=trixie: for that one, in build/deb-trixie
	lab/setup-host debian/packages.txt
	debian/build $(or $(SUITE),$(shell . /etc/os-release && echo $$VERSION_CODENAME)) build/deb$(addprefix -,$(SUITE))

##@ Measurements

.PHONY: bench-scale
bench-scale: proto ## What deployments of thousands of nodes cost, beside their limits: build/bench/scale.json
	$(BIN)/python -m tests.bench.scale

.PHONY: bench-stragglers
bench-stragglers: proto ## What bad machines cost the good ones of the same deployment: build/bench/stragglers.json
	$(BIN)/python -m tests.bench.stragglers

.PHONY: bench-fanout
bench-fanout: setup proto ## 300 SSH sessions, beside clush and TakTuk; build/bench/fanout.json
	lab/setup-host tests/bench/packages.txt
	$(AS_ROOT) $(BIN)/python -m tests.bench.fanout

.PHONY: bench-broadcast
bench-broadcast: root setup proto ## One file to up to 64 hosts, with and without faults, beside five other programs; build/bench/broadcast.json
	lab/setup-host tests/bench/packages.txt
	$(AS_ROOT) $(BIN)/python -m tests.bench.broadcast $(BENCH_ARGS)

.PHONY: bench-inventory
bench-inventory: setup proto ## 10,000 nodes registered, on both databases, beside the driver's floor; build/bench/inventory.json
	$(BIN)/python -m tests.bench.inventory

.PHONY: bench-bootctl
bench-bootctl: setup proto ## 10,000 boot entries in one call, beside write+fsync+rename in a loop; build/bench/bootctl.json
	lab/setup-host
	$(BIN)/python -m tests.bench.bootctl

.PHONY: bench-boot-http
bench-boot-http: root ready ## Kernels by TFTP and by HTTP: machines of the lab, 300 at once, at a distance; build/bench/boot_http.json
	lab/setup-host tests/bench/packages.txt
	$(AS_ROOT) $(BIN)/python -m tests.bench.boot_http

.PHONY: bench-load
bench-load: setup proto ## 200 watchers and 500 calls a second, then an hour's soak; BENCH_ARGS="--soak 300"; build/bench/load.json
	$(BIN)/python -m tests.bench.load $(BENCH_ARGS)

.PHONY: bench-attack
bench-attack: setup proto ## How long a client waits while a service is attacked, beside its limit; build/bench/attack.json
	$(BIN)/python -m tests.bench.attack

##@ Services alone

.PHONY: run
run: ready ## The three services and the page on loopback; data in build/run, client settings in build/run/client.toml
	$(BIN)/python -m kadeploy_demo start

.PHONY: stop
stop: ## End what `make run` started
	$(BIN)/python -m kadeploy_demo stop

##@ Lab

.PHONY: lab-up
lab-up: root setup ## A lab alone, to play with: NODES=2
	$(AS_ROOT) $(BIN)/python -m kadeploy_lab up --nodes $(NODES)

.PHONY: lab-down
lab-down: ## End every lab of this checkout, also one that a crash left
	$(AS_ROOT) $(BIN)/python -m kadeploy_lab down --all

.PHONY: deployenv
deployenv: setup $(KEY) ## Kernel and initramfs of the deployment environment
	$(BIN)/kadeploy-deployenv build --profile virtual --output build/deployenv --authorized-key $(KEY).pub \
	  --cache build/cache/deployenv

.PHONY: deployenv-hardware
deployenv-hardware: setup $(KEY) ## The same for real hardware, in build/deployenv-hardware
	$(BIN)/kadeploy-deployenv build --profile hardware --output build/deployenv-hardware --authorized-key $(KEY).pub \
	  --cache build/cache/deployenv

ENVIRONMENTS := environment-tiny environment-tiny-hardware environment-raw environment-debian \
  environment-debian-host
.PHONY: $(ENVIRONMENTS)
$(ENVIRONMENTS): environment-%: setup ## An environment to deploy
	$(AS_ROOT) $(BIN)/python lab/environments/build.py $* --output build/environments/$*

##@ Set-up

.PHONY: root
root: # asked first, so that nobody waits for a build that cannot be used
	@$(AS_ROOT) true

.PHONY: ready
ready: setup proto deployenv

.PHONY: setup
setup: hooks ## Debian packages, the virtual environment, and the hook for commit messages
	lab/setup-host
	@$(MAKE) $(STAMPS)/venv

.PHONY: lock
lock: setup ## Lock versions and hashes anew after a change of dependencies in pyproject.toml. UPGRADE=--upgrade
	$(BIN)/python requirements/lock.py $(UPGRADE)

.PHONY: hooks
hooks: ## Have git refuse commits whose subject has more than 72 characters
	@.githooks/install

.PHONY: clean
clean: ## Remove what was built, but for the caches
	rm -rf build/demo build/run build/lab build/deployenv build/environments build/protos $(STAMPS)/proto
	find protos -name '*_pb2*.py*' -delete

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+( [a-z-]+)*:.*## / {printf "  %-34s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMPS)/venv: requirements/development.txt $(patsubst %,%/pyproject.toml,$(DISTRIBUTIONS) lab)
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not there: install python3, or say PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { echo "make: no virtual environment: run lab/setup-host" >&2; exit 1; }
	$(BIN)/pip install --quiet --require-hashes --only-binary :all: --requirement requirements/development.txt
	$(BIN)/pip install --quiet --no-index --no-deps --no-build-isolation $(patsubst %,--editable ./%,$(DISTRIBUTIONS) lab)
	@mkdir -p $(@D) && touch $@

$(STAMPS)/proto: $(PROTOS) protos/generate.py $(STAMPS)/venv
	$(BIN)/python protos/generate.py
	@mkdir -p $(@D) && touch $@

$(KEY):
	@mkdir -p $(@D)
	ssh-keygen -q -t ed25519 -N '' -C kadeploy -f $@
