# The targets for setting up, testing and checking. Everything else is `connect …` and `meltano …`; see README.md.
PYTHON ?= python3
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Unlike pip, uv leaves compiling to the first start. If Python may not write then, each start would compile again.
export UV_COMPILE_BYTECODE := 1
# uv trusts only its own certificates; behind a company's proxy the certificates of the system are the right ones.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS := true
endif

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder
PARTS := tap-coursera plugins/target-duckdb plugins/target-warehouse plugins/dbt-private plugins/oneroster-csv plugins/tap-oneroster plugins/target-lti-ags plugins/connect plugins/coursera-sandbox
CODE := tap-coursera/tap_coursera plugins/target-duckdb/target_duckdb plugins/oneroster-csv/oneroster_csv plugins/tap-oneroster/tap_oneroster plugins/target-lti-ags/target_lti_ags plugins/connect/coursera_connect plugins/coursera-sandbox/coursera_sandbox plugins/target-warehouse/target_warehouse plugins/dbt-private/dbt_private orchestrate scripts tests

.PHONY: demo test test-slow bench lint format docs setup chromium cron sshd faketime clean
.DEFAULT_GOAL := demo

demo: setup
	@$(BIN)/python scripts/demo.py

test: $(VENV)/.dev-ready setup chromium cron sshd faketime
	$(PYTEST) -m "not slow" $(ARGS)

# The tests that take minutes: the walk-through, kills, Airflow, other Pythons, other warehouses, upgrades.
test-slow: $(VENV)/.dev-ready setup cron
	$(PYTEST) -m slow $(ARGS)

# Compares the pipeline with other ways to load the same data; ARGS="--help" shows how to run a part of the benchmark.
bench: $(VENV)/.dev-ready
	@$(BIN)/python -m tests.bench.run $(ARGS)

# Tests open the report page in a real browser. They skip with a reason if there is none and this user may not install one.
chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	echo "Setting up: Chromium, in which tests look at the page ..."; \
	install="apt-get install -qq -y --no-install-recommends chromium fonts-liberation"; \
	$$install >/dev/null 2>&1 || { apt-get update -qq && $$install >/dev/null; } || echo "There is no Chromium to be had: its tests skip."

# Tests run installed schedules with a real cron, which reads a crontab of its own. They skip without cron, as above.
cron:
	@command -v cron >/dev/null && exit 0; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	echo "Setting up: cron, which runs what tests install ..."; \
	install="apt-get install -qq -y --no-install-recommends cron"; \
	$$install >/dev/null 2>&1 || { apt-get update -qq && $$install >/dev/null; } || echo "There is no cron to be had: its tests skip."

# Tests deliver packages to a real OpenSSH server. It is installed only on machines where nothing starts it as a service.
sshd:
	@for place in /usr/sbin/sshd $$(command -v sshd); do [ -x "$$place" ] && exit 0; done; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ ! -d /run/systemd/system ] || exit 0; \
	echo "Setting up: an OpenSSH server, to which tests deliver ..."; \
	install="apt-get install -qq -y --no-install-recommends openssh-server"; \
	$$install >/dev/null 2>&1 || { apt-get update -qq && $$install >/dev/null; } || echo "There is no OpenSSH server to be had: its tests skip."

# Tests run tap and loader with a clock that is a month ahead.
faketime:
	@ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 && exit 0; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	echo "Setting up: libfaketime, by which tests set the clock of a process ..."; \
	install="apt-get install -qq -y --no-install-recommends libfaketime"; \
	$$install >/dev/null 2>&1 || { apt-get update -qq && $$install >/dev/null; } || echo "There is no libfaketime to be had: its test skips."

lint: $(VENV)/.dev-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(CODE)

format: $(VENV)/.dev-ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The documents as a site with navigation and search. Every warning is an error, such as a broken link or a page in no menu.
docs: $(VENV)-docs/.ready
	$(VENV)-docs/bin/sphinx-build -q -W --keep-going -c docs -d build/doctrees . build/docs
	@echo "The site: build/docs/index.html"

$(VENV)-docs/.ready: requirements-docs.txt
	@echo "Setting up: Sphinx, in an environment of its own ..."
	@$(PYTHON) -m venv $(VENV)-docs
	@$(VENV)-docs/bin/python -m pip install -qq -r requirements-docs.txt
	@touch $@

# A release that is unpacked over an earlier one leaves the earlier models outside folders, and dbt refuses a model that exists twice.
setup: $(VENV)/.ready
	@rm -f transform/models/connect/*.sql transform/models/connect/*.yml

# A stamp file is newer than the files that it depends on, so `make` sets up again only after a pin or a plugin changed.
$(VENV)/.meltano-ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or later is needed; name one with: make PYTHON=python3.11 demo")'
	@echo "Setting up: virtual environment and Meltano (15 to 60 seconds, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq -r requirements.txt
	@touch $@

# Meltano writes logs and the settings of a running plugin, including credentials, with the umask of the shell, so the folder is private.
.meltano output:
	@mkdir -m 700 $@

$(VENV)/.ready: $(VENV)/.meltano-ready meltano.yml $(wildcard scripts/launch.py) $(addsuffix /pyproject.toml,$(PARTS)) | .meltano output
	@echo "Setting up: Meltano installs the plugins (10 to 60 seconds, once) ..."
	@$(BIN)/python scripts/launch.py install
	@$(BIN)/meltano --log-level=warning install
	@[ -e environments/prod/settings.yml ] || $(BIN)/connect --environment=sandbox environment add prod
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.meltano-ready requirements-dev.txt $(addsuffix /pyproject.toml,$(PARTS))
	@echo "Setting up: test and lint tools ..."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install -q --python $(BIN)/python -r requirements-dev.txt
	@$(BIN)/python scripts/launch.py install
	@touch $@

# Removes only files that can be made again, which data, ledger and bookmarks of your organisation cannot.
clean:
	rm -rf $(VENV) $(VENV)-docs build .bench $(addprefix .meltano/,extractors loaders utilities run coursera-sandbox) output/sandbox transform/target transform/logs
