# sonimatch: `make book` and `make test` do everything; `make help` lists the rest.
#
# Needed: Python 3.11, 3.12 or 3.13 with pip, and make.  Everything else is installed into
# .tools/ (uv) and .venv/ (the locked environment of pyproject.toml and uv.lock), inside this folder.

PYTHON       ?= python3
JOBS         ?= 2
BUILD        ?= build
PORT         ?= 8000
CELL_TIMEOUT ?= 300

UV_VERSION      := 0.13.9
MATHJAX_PACKAGE := sphinx-mathjax-offline==0.0.2

BIN     := .venv/bin
UV      := .tools/uv-$(UV_VERSION)/bin/uv
MATHJAX := .tools/$(MATHJAX_PACKAGE)/sphinx-mathjax-offline/static/mathjax/tex-svg-full.js
ENV     := .venv/.stamp
HTML    := $(BUILD)/html/index.html

NAMES    := $(basename $(notdir $(wildcard notebooks/*.md)))
SEARCHES := $(shell grep -lE '^from sonimatch.* import .*\b(match|match_all|solve)\b' notebooks/*.md)
EXECUTED := $(NAMES:%=$(BUILD)/book/notebooks/%.ipynb)

# Nothing depends on what the caller has activated: the kernel, its start-up files and its caches are ours.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONSTARTUP JUPYTER_PATH JUPYTER_CONFIG_PATH JUPYTER_CONFIG_DIR
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export BUILD
export PYTHONDONTWRITEBYTECODE := 1
export MPLBACKEND ?= agg
export JUPYTER_PREFER_ENV_PATH := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1
export IPYTHONDIR := $(CURDIR)/$(BUILD)/ipython
STARTUP := $(IPYTHONDIR)/profile_default/startup
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/$(BUILD)/jax-cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0.5

# Behind a company's proxy the certificates are those that the shell names or the system keeps: uv takes them, as pip does.
SYSTEM_CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem)
NAMED_CERTIFICATES := $(or $(SSL_CERT_FILE),$(PIP_CERT),$(REQUESTS_CA_BUNDLE),$(CURL_CA_BUNDLE))
ifneq (,$(NAMED_CERTIFICATES)$(SSL_CERT_DIR)$(SYSTEM_CERTIFICATES))
export UV_SYSTEM_CERTS ?= true
endif
ifneq (,$(NAMED_CERTIFICATES))
export SSL_CERT_FILE ?= $(NAMED_CERTIFICATES)
endif

.DELETE_ON_ERROR:
FINDING ?= *

.PHONY: help env book zip pdf pages shots test unit notebooks searches robust findings lab serve lint linkcheck clean distclean FORCE

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

# ---------------------------------------------------------------- environment

env: $(ENV)  ## create or update the environment in .venv

$(UV):
	@echo "install    uv $(UV_VERSION)"
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else \
	    "sonimatch needs Python 3.11, 3.12 or 3.13; %s is %s. Name another one: make PYTHON=..." \
	    % (sys.executable, sys.version.split()[0]))'
	@rm -rf $(@D)/..
	@$(PYTHON) -m pip install --quiet --root-user-action=ignore --target .tools/uv-$(UV_VERSION) uv==$(UV_VERSION)
	@touch $@

$(ENV): pyproject.toml uv.lock $(UV)
	@echo "install    the locked environment into .venv"
	@$(UV) sync --frozen --python "$(PYTHON)" --extra book --extra test --extra bench
	@touch $@

# MathJax is served from the book itself, so that formulas appear without a network.
$(MATHJAX): $(UV)
	@echo "install    MathJax"
	@$(UV) pip install --quiet --python "$(PYTHON)" --no-deps --target .tools/$(MATHJAX_PACKAGE) $(MATHJAX_PACKAGE)
	@touch $@

# ---------------------------------------------------------------- fingerprints
# A fingerprint file changes only when the content it stands for changes, so time stamps of a fresh
# checkout or of a switched branch cause no work, and a deleted file does.

define fingerprint
	@mkdir -p $(BUILD)
	@find $(1) -type f ! -name '*.pyc' ! -path '*/.ipynb_checkpoints/*' 2>/dev/null \
	    | LC_ALL=C sort | tr '\n' '\0' | xargs -0 cksum > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
endef

# What every notebook depends on: the module, the programs, stored results, data beside the notebooks, the lock.
$(BUILD)/sources.sum: FORCE
	$(call fingerprint,sonimatch faust results uv.lock $$(find notebooks -type f ! -name '*.md' ! -name '*.ipynb'))

# What the pages depend on besides the notebooks.
$(BUILD)/pages.sum: FORCE
	$(call fingerprint,book _config.yml _toc.yml)
	@echo "$(NAMES)" | cmp -s - $(BUILD)/names || { echo "$(NAMES)" > $(BUILD)/names; touch $@; }

# ---------------------------------------------------------------- notebooks
# Each notebook is executed once: Make is the cache.  `make book` and `make test` share the result.

notebooks: $(EXECUTED)  ## execute the notebooks that changed

searches: $(SEARCHES:notebooks/%.md=$(BUILD)/book/notebooks/%.ipynb)  ## execute those that hold a search

$(BUILD)/run/.data: $(BUILD)/sources.sum
	@rm -rf $(BUILD)/run && mkdir -p $(BUILD)/run && cp -R notebooks $(BUILD)/run/notebooks
	@find $(BUILD)/run -type f \( -name '*.md' -o -name '*.ipynb' \) -exec rm {} +
	@touch $@

$(BUILD)/book/notebooks/%.ipynb: notebooks/%.md $(BUILD)/sources.sum book/check.py | $(ENV) $(BUILD)/run/.data
	@echo "execute    $<"
	@mkdir -p $(BUILD)/book/notebooks $(BUILD)/book/_static/sounds
	@mkdir -p $(STARTUP)
	@$(if $(MOVED),cmp -s book/moved.py $(STARTUP)/moved.py || cp book/moved.py $(STARTUP)/,rm -f $(STARTUP)/moved.py)
	@$(BIN)/jupytext --quiet --to ipynb --output $(BUILD)/run/notebooks/$*.ipynb $<
	@SONIMATCH_SOUNDS="$(CURDIR)/$(BUILD)/book/_static/sounds" PATH="$(CURDIR)/$(BIN):$$PATH" \
	    $(BIN)/python -m pytest -c /dev/null --rootdir=$(BUILD)/run -p no:cacheprovider -q --no-header \
	    --nbmake --overwrite --nbmake-timeout=$(CELL_TIMEOUT) $(BUILD)/run/notebooks/$*.ipynb
	@$(BIN)/python book/check.py notebook $(BUILD)/run/notebooks/$*.ipynb
	@mv $(BUILD)/run/notebooks/$*.ipynb $@

$(BUILD)/book/notebooks/what_we_met.ipynb: $(wildcard findings/*.sh)

# ---------------------------------------------------------------- the book

book: $(ENV)  ## execute the notebooks, build the pages, print where to open them
	@$(MAKE) --no-print-directory -j$(JOBS) $(HTML)
	@echo
	@echo "The book is ready.  Open  $(CURDIR)/$(HTML)"

$(BUILD)/book/.assembled: $(EXECUTED) $(BUILD)/pages.sum $(MATHJAX)
	@mkdir -p $(BUILD)/book/_static $(BUILD)/book/notebooks
	@find $(BUILD)/book -mindepth 1 -maxdepth 1 ! -name notebooks ! -name _static -exec rm -rf {} +
	@find $(BUILD)/book/_static -mindepth 1 -maxdepth 1 ! -name sounds -exec rm -rf {} +
	@for f in $(BUILD)/book/notebooks/*.ipynb; do \
	    [ -e "notebooks/$$(basename "$$f" .ipynb).md" ] || rm -f "$$f"; done
	@cp -R book $(BUILD)/book/book && rm -rf $(BUILD)/book/book/_static $(BUILD)/book/book/*.py
	@$(BIN)/python book/times.py _toc.yml $(BUILD)/book/notebooks > $(BUILD)/book/book/times.md
	@cp -R book/_static/. $(BUILD)/book/_static/
	@$(BIN)/python -c "from sonimatch.widgets import element; print(element.page_script())" > $(BUILD)/book/_static/elements.js
	@cp sonimatch/widgets/js/elements.css $(BUILD)/book/_static/
	@cp _config.yml _toc.yml book/offline.py $(BUILD)/book/
	@mkdir -p $(BUILD)/book/_extra/_static/mathjax && cp $(MATHJAX) $(BUILD)/book/_extra/_static/mathjax/
	@touch $@

# A failed build leaves nothing behind that could hide its warnings from the next one.
$(HTML): $(BUILD)/book/.assembled
	@echo "build      the pages"
	@rm -rf $(BUILD)/_build $(BUILD)/html
	@$(BIN)/jupyter-book build $(BUILD)/book --path-output build --all -W --keep-going -n -q \
	    || { rm -rf $(BUILD)/_build; echo "The pages were not built: see the warnings above." >&2; exit 1; }
	@$(BIN)/python book/check.py site $(BUILD)/_build/html
	@ln -s _build/html $(BUILD)/html

# Everything lies under one folder of the archive, as `unzip` in a full folder would want it.
zip: book  ## pack the book into build/sonimatch-book.zip, to be opened from the disk
	@ln -sfn _build/html $(BUILD)/sonimatch-book
	@$(BIN)/python -c "import shutil; shutil.make_archive('$(BUILD)/sonimatch-book', 'zip', '$(BUILD)', 'sonimatch-book')"
	@rm $(BUILD)/sonimatch-book
	@echo "The archive is  $(CURDIR)/$(BUILD)/sonimatch-book.zip"

# TeX Live is not ours to install; on Debian: texlive-xetex texlive-latex-extra texlive-fonts-extra latexmk fonts-freefont-otf.
pdf: book  ## typeset the book as build/sonimatch.pdf (needs XeLaTeX and latexmk)
	@echo "typeset    the book"
	@rm -rf $(BUILD)/pdf && mkdir $(BUILD)/pdf
	@$(BIN)/jupyter-book build $(BUILD)/book --path-output $(BUILD)/pdf --builder latex -q > $(BUILD)/pdf/log.txt
	@$(MAKE) -C $(BUILD)/pdf/_build/latex LATEXMKOPTS="-silent -interaction=nonstopmode" >> $(BUILD)/pdf/log.txt 2>&1 \
	    || { echo "The book was not typeset: see $(BUILD)/pdf/log.txt." >&2; exit 1; }
	@mv $(BUILD)/pdf/_build/latex/sonimatch.pdf $(BUILD)/
	@echo "The book is  $(CURDIR)/$(BUILD)/sonimatch.pdf"

linkcheck: $(EXECUTED) $(BUILD)/book/.assembled  ## follow every link of the book (needs the network)
	@$(BIN)/jupyter-book build $(BUILD)/book --path-output $(BUILD)/links --builder linkcheck -q

serve: book  ## serve the built book on http://localhost:8000 (PORT=...)
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(BUILD)/html $(PORT)

lab: $(ENV)  ## open the notebooks in JupyterLab
	@JUPYTER_CONFIG_PATH="$(CURDIR)/book/lab" $(BIN)/jupyter lab --notebook-dir=notebooks

# ---------------------------------------------------------------- checks

PYTEST  = $(BIN)/python -m pytest $(if $(MOVED),-p book.moved) $(PYTEST_ARGS)
ALONE   = tests/test_browser_jupyterlab.py tests/test_browser_sound.py

# Side by side, but for those that count how often a sound follows the hand, or wait for a server: one by one.
# A choice of tests, PYTEST_ARGS="-k clip", may choose none of either kind: pytest's status 5.
SOME    = $(if $(PYTEST_ARGS),|| [ $$? = 5 ])

unit: $(ENV)  ## run the unit tests
	@mkdir -p $(BUILD)
	@$(PYTEST) --junitxml=$(BUILD)/unit.xml -n $(JOBS) --dist loadfile $(ALONE:%=--ignore=%) $(SOME)
	@$(PYTEST) --junitxml=$(BUILD)/browser.xml $(ALONE) $(SOME)

pages: zip  ## open every page of the packed book in a browser and move what moves
	@$(BIN)/python -m pytest --junitxml=$(BUILD)/looks.xml -n $(JOBS) -k "not from_the_disk" tests/pages.py
	@$(BIN)/python -m pytest --junitxml=$(BUILD)/pages.xml -k from_the_disk tests/pages.py

shots: zip  ## take a picture of every page in both themes and two widths, into build/shots
	@SHOTS=$(BUILD)/shots $(BIN)/python -m pytest tests/pages.py -q -k picture_of_a_page

test: $(ENV)  ## run the unit tests, every notebook, and every page of the book in a browser
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory pages
	@echo "All $(words $(NAMES)) notebooks ran, and the book was built."
	@$(BIN)/python book/check.py tests $(BUILD)/unit.xml $(BUILD)/browser.xml $(BUILD)/looks.xml $(BUILD)/pages.xml

# What holds only with one processor's last bits breaks here: other vector units round differently, and searches that
# start a millionth of the range away end elsewhere where they are chaotic.  Each way has a folder and a cache of its own.
ROBUST := SSE4_2 AVX2 default moved

robust: $(ROBUST:%=robust-%)  ## unit tests and notebooks with other vector units, and with moved starts

robust-SSE4_2 robust-AVX2: FLAGS = --xla_cpu_max_isa=$*
robust-moved: MOVED = 1
$(ROBUST:%=robust-%): robust-%: $(ENV)
	@echo "robust     $*"
	@XLA_FLAGS="$(FLAGS)" $(MAKE) --no-print-directory -j$(JOBS) BUILD=build/robust/$* MOVED=$(MOVED) unit notebooks

lint: $(ENV)  ## check style and types
	@$(BIN)/ruff check .
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright

findings:  ## run what surprised us in other packages again (needs the network; FINDING=name for one)
	@for f in findings/$(FINDING).sh; do echo "== $$f"; "$$f" || failed="$$failed $$f"; done; \
	    [ -z "$$failed" ] || { echo "Changed since:$$failed" >&2; exit 1; }

clean:  ## remove what the builds made (the environment stays)
	rm -rf build .pytest_cache .ruff_cache

distclean: clean  ## remove the environment too
	rm -rf .venv .tools
