PORT ?= 8000
VENV ?= .venv
PY := $(VENV)/bin/python
export PYTHONUNBUFFERED = 1

.PHONY: run demo test prove bench check serve
run: serve

demo: PORT := $(if $(filter file,$(origin PORT)),8001,$(PORT))
demo: export DATABASE_URL = sqlite:///var/demo.sqlite3
demo: SETUP := --demo
demo: serve

serve: $(VENV)/.installed .env
	@$(PY) -c 'import socket, sys; socket.socket().connect_ex(("127.0.0.1", $(PORT))) or sys.exit("port $(PORT) is in use: try PORT=9000 make $(or $(MAKECMDGOALS),run)")'
	@$(PY) manage.py setup $(SETUP)
	@echo "ytops is at http://127.0.0.1:$(PORT)/ (stop it with Ctrl-C)"
	@exec $(PY) -m gunicorn ytops.wsgi --bind 127.0.0.1:$(PORT) \
		--workers 2 --threads 4 --log-level warning --no-control-socket

test: $(VENV)/.installed
	@$(PY) -m ytops.tests.run $(ARGS)

prove: $(VENV)/.installed
	@YTOPS_PROVE=1 $(PY) -m ytops.tests.run $(ARGS)

bench: $(VENV)/.installed-bench
	@$(PY) -m benchmarks.config
	@$(PY) -m benchmarks.queue
	@$(PY) -m benchmarks.copydb
	@$(PY) -m benchmarks.backup
	@$(PY) -m benchmarks.rotation

check: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy .
	$(VENV)/bin/lint-imports
	DJANGO_SETTINGS_MODULE=ytops.tests.settings $(PY) manage.py makemigrations --check --dry-run

.env: | $(VENV)/.installed
	@$(PY) -m ytops.make_env .env

$(VENV)/.installed: requirements.txt requirements-test.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ytops needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@$(PY) -m pip --version >/dev/null 2>&1 || python3 -m venv --clear $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed requirements-bench.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@
