# The one interface to the course. `make help` lists what it can do.
#
# Kept to what GNU make 3.81 knows (the make of macOS), and all paths are relative,
# so that a checkout in a folder with spaces works.

PYTHON   ?= python3
# What is installed into .venv. The weekly job sets it to ".[dev]": newest versions.
PACKAGES ?= -r requirements.txt
# Test processes. Two is right for the smallest hosted runners.
JOBS     ?= 2
# Notebooks for `make run`, as in: make run CHAPTERS=chapters/03_self_attention.ipynb
CHAPTERS ?=
# What `make grade` grades, as in: make grade SUBMISSIONS=handed-in
SUBMISSIONS ?=

PY      := .venv/bin/python
PIP     := $(PY) -m pip install --quiet --disable-pip-version-check
# No test needs a network; one that reaches for the hub fails.
PYTEST  := HF_HUB_OFFLINE=1 $(PY) -m pytest -q
HTML    := _build/html
# Stamps: what they stand for is done, and need not be done again.
READY   := .venv/.installed
CLASS   := .venv/.class-installed
BUILT   := $(HTML)/.built

# Sources of the site. Folders are listed too: a deleted page makes one newer.
SITE := _config.yml _toc.yml $(shell find chapters _static _ext assets \
	! -path '*/.ipynb_checkpoints*' ! -path '*/__pycache__*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup environment book test lab run check unit notebooks browser bench \
	pocket clean release grade formgrader feedback report
.NOTPARALLEL:

help:
	@echo "Tokens to Text"
	@echo
	@echo "  make book    build the site into $(HTML)"
	@echo "  make test    lint, unit tests, every notebook, the site, the site in a browser"
	@echo "  make lab     open the chapters in JupyterLab"
	@echo "  make run     execute the notebooks in place (CHAPTERS=... for some of them)"
	@echo "  make check   lint and spelling only, seconds"
	@echo "  make bench   speed and memory of this machine"
	@echo "  make pocket  train the model that ships, in hours on a CPU (pocket/README.md)"
	@echo "  make clean   remove what was built (.venv and build/ stay)"
	@echo
	@echo "  make release              for a class: the students' notebooks"
	@echo "  make grade SUBMISSIONS=x  grade what is in x/student/ps2/ps2.ipynb"
	@echo "  make formgrader           read the answers in sentences, and give points"
	@echo "  make feedback             a page for each student and assignment"
	@echo "  make report               points and mistakes again, after reading answers"
	@echo
	@echo "Each creates .venv when it is needed, with $(PYTHON); PYTHON=python3.12 says"
	@echo "which one. The parts of make test: check, unit, notebooks, book, browser."

setup: $(READY)

# A .venv that was copied or moved with its folder still names the old one: make it anew.
ifneq ($(shell cat .venv/.made-in 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

$(READY): requirements.txt pyproject.toml
	@test "`cat .venv/.made-in 2>/dev/null`" = "$(CURDIR)" || \
	  $(MAKE) --no-print-directory environment
	@echo "== Installing into .venv (the first time takes a minute or more) =="
	$(PIP) $(PACKAGES)
	$(PIP) --no-deps --editable .
	@touch $@

$(CLASS): $(READY) classroom/requirements-class.txt
	@echo "== Installing what grading needs =="
	$(PIP) -r classroom/requirements-class.txt
	@touch $@

environment:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: there is no $(PYTHON) here. Install Python 3.11, 3.12 or 3.13," >&2; \
	  echo "or name the one to use: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "make: the course needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is" \
	    "`$(PYTHON) --version 2>&1`." >&2; \
	  echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: $(PYTHON) cannot create environments: its venv module is incomplete." >&2; \
	  echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(if $(wildcard .venv/.made-in),--clear) .venv
	@echo "$(CURDIR)" > .venv/.made-in

book: $(BUILT)
	@echo
	@echo "The book is in $(HTML). To read it:"
	@echo "    python3 -m http.server --directory $(HTML) 8000"
	@echo "and open http://localhost:8000"

# --all: without it a changed file of _static is not copied and a changed navigation
# does not reach the old pages. -W: without it a failed build exits with 0.
$(BUILT): $(READY) $(SITE)
	@echo "== The book =="
	@rm -f $@
	$(PY) .venv/bin/jupyter-book build . --all -n -W --keep-going
	@touch $@

test: check unit notebooks book browser
	@echo
	@echo "== All tests passed =="

check: $(CLASS)
	@echo "== Lint and spelling =="
	$(PY) -m ruff check .
	$(PY) -m codespell_lib

unit: $(CLASS)
	@echo "== Unit tests =="
	$(PYTEST) -n $(JOBS) --ignore=tests/test_site.py tests

# One notebook is one process (loadscope); each cell's output is compared.
notebooks: $(READY)
	@echo "== Every notebook against its stored outputs =="
	$(PYTEST) -n $(JOBS) --dist loadscope --nbval --nbval-current-env \
	  --nbval-cell-timeout=120 --nbval-sanitize-with=tests/nbval_sanitize.cfg chapters \
	  classroom/source

# Needs a Chromium. REQUIRE_BROWSER=1 makes its absence an error.
browser: $(READY) $(BUILT)
	@echo "== The site in a browser =="
	$(PYTEST) -n $(JOBS) tests/test_site.py

# A class. Its gradebook and all results are in build/class.
release: $(CLASS)
	$(PY) -m classroom.release

grade: $(CLASS)
	@test -n "$(SUBMISSIONS)" || { \
	  echo "make: say where: make grade SUBMISSIONS=folder" >&2; exit 1; }
	@$(PY) -m classroom.grade "$(SUBMISSIONS)"; graded=$$?; \
	  $(PY) -m classroom.report && exit $$graded

# nbgrader wants the class's folder below the folder that JupyterLab is started in.
formgrader: $(CLASS)
	JUPYTER_CONFIG_PATH="$(CURDIR)/classroom" $(PY) -m jupyterlab

feedback: $(CLASS)
	@$(PY) -m classroom.feedback; written=$$?; \
	  $(PY) -m classroom.report && exit $$written

report: $(CLASS)
	$(PY) -m classroom.report

lab: $(READY)
	$(PY) -m jupyterlab chapters

run: $(READY)
	$(PY) tools/run_chapters.py $(CHAPTERS)

bench: $(READY)
	$(PY) benchmarks/decode.py

# The variables keep glibc from giving large blocks back to the system after each use,
# which makes a training step on a CPU half as fast again. Elsewhere they do nothing.
pocket: $(READY)
	MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 \
	  $(PY) -m pocket.train
	$(PY) -m pocket.evaluate --model build/pocket/model \
	  --json build/pocket/results.json --samples build/pocket/samples.txt
	cp build/pocket/model/* llmcourse/data/pocket/
	cp build/pocket/loss.svg build/pocket/results.json build/pocket/samples.txt pocket/

clean:
	rm -rf _build .pytest_cache .ruff_cache llmcourse.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -not -path './.venv/*' -prune -exec rm -rf {} +
