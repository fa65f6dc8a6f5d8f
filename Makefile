# Each target says what it does in `make help`. The steps of the checks are listed in tests/tools/check.py.
ENV := tests/tools/env.sh
CHECK = python=$$($(ENV) python) && exec $$python tests/tools/check.py
export LC_ALL := C.UTF-8

.DEFAULT_GOAL := help
.PHONY: help zrep demo picture startup counts test test-more units-oldest units-all openzfs test-openzfs molecule campaign test-all lint format units sanity sanity-oldest system docs build importer clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-14s %s\n' "$$name" "$$text"; done

zrep: ## the zrep command, one file: build/zrep
	@python3 plugins/plugin_utils/executable.py build/zrep
	@echo build/zrep

demo: ## two ZFS hosts on this machine get paired, synced, checked, and swap roles (root)
	@$(ENV) venv demo
	@ZREP_DEMO_PYTHON=$(CURDIR)/.venv/demo/bin/python PATH="$(CURDIR)/.venv/demo/bin:$$PATH" \
		ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/build/live" tests/demo/run

picture: ## refresh docs/status-page.png, with Chromium
	@$(ENV) venv demo
	@PATH="$(CURDIR)/.venv/demo/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/build/live" ANSIBLE_LOCALHOST_WARNING=0 \
		.venv/demo/bin/python tests/demo/picture

startup: zrep ## print how long the zrep command takes to start
	@python3 tests/demo/startup

counts: ## print how many processes and connections each operation takes (root)
	@$(ENV) venv demo
	@.venv/demo/bin/python tests/demo/counts

test: ## every check but the slow ones (system tests need root)
	@$(CHECK) test

test-more: ## units on every Python, the acceptance cases once more through the zrep command
	@$(CHECK) more

units-oldest: ## unit tests on the oldest Python that managed hosts may have
	@$(CHECK) units-all-oldest

units-all: ## unit tests on each Python from 3.8 to 3.13
	@$(CHECK) units-all units-all-oldest

openzfs: ## a sample of the system tests on OpenZFS guests, where these are at hand (root)
	@$(CHECK) openzfs-sample

test-openzfs: ## all system tests on OpenZFS guests, which are made if need be (root; hours)
	@$(CHECK) openzfs-lab

molecule: ## the roles on hosts of a lab, from bare hosts to their end: make molecule SCENARIO=default; --list (root)
	@$(ENV) venv molecule
	@PATH="$(CURDIR)/.venv/molecule/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/build/live" \
		molecule test $(if $(SCENARIO),--scenario-name $(SCENARIO),--all)

campaign: ## every point of every operation killed and cut, and random sequences, on both kinds of ZFS (root; hours)
	@$(ENV) venv test
	@.venv/test/bin/python -m pytest tests/system/test_kill_anywhere.py tests/system/test_random.py -n 4 --dist worksteal
	@.venv/test/bin/python -m pytest tests/system/test_kill_anywhere.py tests/system/test_random.py --zfs openzfs -n 3 --dist worksteal

test-all: ## all slow checks: test-more, and the system tests that take long
	@$(CHECK) slow

lint: ## ruff, mypy, ansible-lint, documentation, changelog
	@$(CHECK) lint

format: ## let ruff rewrite the Python files
	@$(ENV) venv lint
	@.venv/lint/bin/ruff check --fix . ; .venv/lint/bin/ruff format .

units: ## unit tests, at once and without copies: make units ARGS="-k name"
	@$(ENV) venv test
	@.venv/test/bin/python -m pytest tests/unit $(ARGS)

sanity: ## ansible-test sanity with the newest ansible-core
	@$(CHECK) sanity

sanity-oldest: ## ansible-test sanity with the oldest ansible-core
	@$(CHECK) sanity-oldest

system: ## system tests on lab hosts (root)
	@$(CHECK) system

docs: ## the documentation of the modules
	@$(CHECK) docs

build: ## the artefact for Galaxy, in build/dist
	@$(CHECK) build installed

importer: ## what Galaxy does with an upload
	@$(CHECK) importer

clean: ## remove all that the other targets made
	rm -rf build .venv .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache tests/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
