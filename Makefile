# The commands of the project; each sets up what it needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ASK ?=
BOOKS ?= ../shared
COUNT ?= 40
SEED ?= 0
TESTS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-clients test-sites mutants evaluate baseline report-schema openapi lint typecheck docs constraints wheel bench bench-overhead bench-coldstart bench-load bench-page bench-traces bench-retrieval-latency bench-scale bench-library bench-ray bench-index bench-links bench-left-out bench-retrieval bench-abstain bench-offline bench-answers bench-support bench-citations clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(BIN)/preceptor: pyproject.toml constraints.txt
	@echo "installing into $(VENV), this once …" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(BIN)/preceptor
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev
	@touch $@

setup: $(VENV)/.dev ## make .venv with everything that tests need

demo: $(BIN)/preceptor ## index the sample book and serve it; ASK="…" asks one question and ends
	@$(BIN)/preceptor demo $(if $(ASK),--ask "$(ASK)")

test: $(VENV)/.dev ## run the tests, in four processes: on two cores half of them wait
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not long"

test-long: $(VENV)/.dev ## run the tests that take long: every fault of a provider, killed runs, made-up input, Urdu questions
	$(BIN)/python -m pytest -n 4 --dist worksteal -m long

build/clients/.installed: tests/clients/package.json tests/clients/requirements.txt
	@test -x build/clients/bin/python || $(PYTHON) -m venv build/clients
	build/clients/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	! command -v npm >/dev/null || npm install --prefix tests/clients --no-audit --no-fund --silent
	@touch $@

test-clients: $(VENV)/.dev build/clients/.installed ## run other people's programs (LangChain, LiteLLM, llm, openai-node, Vercel ai) against the service
	$(BIN)/python -m pytest tests/clients -rs

build/sites/docusaurus/.built: $(shell find integrations/docusaurus -type f -not -path '*/node_modules/*' -not -path '*/.docusaurus/*')
	rm -rf integrations/docusaurus/example/node_modules/docusaurus-plugin-preceptor
	npm install --prefix integrations/docusaurus/example --no-audit --no-fund --silent
	cd integrations/docusaurus/example && npm run build -- --out-dir ../../../build/sites/docusaurus
	@touch $@

build/sites/tools/.installed: tests/sites/requirements.txt
	@test -x build/sites/tools/bin/python || $(PYTHON) -m venv build/sites/tools
	build/sites/tools/bin/python -m pip install --quiet --disable-pip-version-check -r tests/sites/requirements.txt
	@touch $@

test-sites: $(VENV)/.dev build/sites/docusaurus/.built build/sites/tools/.installed ## build sites of Docusaurus, MkDocs, mdBook and Sphinx, and use the widget there in Chromium
	$(BIN)/python -m pytest tests/sites -rs

mutants: $(VENV)/.dev ## small faults in FILE=preceptor/…, one at a time: which of them no test notices (COUNT, SEED, TESTS)
	$(BIN)/python bench/mutants.py $(FILE) --count $(COUNT) --seed $(SEED) $(if $(TESTS),--tests $(TESTS))

evaluate: $(VENV)/.dev ## search and the offline tutor on the sample book against the committed baseline; fails on a loss
	@mkdir -p build
	PRECEPTOR_EVALUATION__FOUND=0.95 PRECEPTOR_EVALUATION__CITED=0.9 $(BIN)/preceptor evaluate --save build/evaluation.json > build/evaluation.txt \
		|| { cat build/evaluation.txt; exit 1; }
	$(BIN)/preceptor evaluate --compare tests/evaluation/baseline.json build/evaluation.json

baseline: evaluate ## take the last `make evaluate` as the new baseline
	$(BIN)/python -m tests.evaluation.baseline build/evaluation.json

report-schema: $(VENV)/.dev ## write docs/evaluation-report.schema.json, the form of a saved report
	$(BIN)/python -c "import json; from preceptor.evaluation.report import Report; \
		print(json.dumps(Report.model_json_schema(), indent=2, ensure_ascii=False))" > docs/evaluation-report.schema.json

openapi: $(VENV)/.dev ## write docs/openapi.json, the HTTP contract
	$(BIN)/python -c "import json; from preceptor.server import create_app; from preceptor.server.openapi import document; \
		from preceptor.settings import Settings; \
		print(json.dumps(document(create_app(Settings(env='demo')).routes), indent=2, ensure_ascii=False))" > docs/openapi.json

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.dev ## basedpyright, strict
	$(BIN)/basedpyright

docs: $(VENV)/.dev ## links, code blocks and commands of the documentation
	$(BIN)/python -m pytest tests/test_docs.py

wheel: $(VENV)/.dev ## build the wheel and try it in a clean venv, away from the source tree
	bash .ci/smoke-wheel

bench: bench-overhead bench-coldstart bench-retrieval-latency bench-load ## every bench that needs no data of its own

bench-overhead: $(VENV)/.dev ## CPU of one chat over that of the bare SDK
	$(BIN)/python bench/overhead.py

bench-coldstart: $(VENV)/.dev ## time and memory until the server is ready
	$(BIN)/python bench/coldstart.py

bench-library: $(VENV)/.dev ## 40 made-up books in folders of their own, and 8 in one shared collection: apart, and as fast as alone
	$(BIN)/python bench/library.py --books 40 --questions 2000
	$(BIN)/python bench/library.py --layout shared --books 8 --passages 40 --questions 200

bench-ray: $(VENV)/.dev ## 50 small books on two one-core nodes of Ray, beside two plain processes
	$(BIN)/python bench/on_ray.py

bench-scale: $(VENV)/.dev ## opening, searching and the outline of made-up books of 1,000 and 10,000 passages
	$(BIN)/python bench/scale.py

bench-load: $(VENV)/.dev ## chats per second and latencies at 1, 20, 100 and 200 readers
	$(BIN)/python bench/load.py

bench-page: $(VENV)/.dev ## first load of the page for readers, and Chromium's long tasks under long answers
	$(BIN)/python -m bench.page

bench-traces: $(VENV)/.dev ## lists and searches over 50,000 runs while runs are written; CPU of tracing a chat
	$(BIN)/python bench/traces.py

bench-retrieval-latency: $(VENV)/.dev ## p50 and p95 of the whole search tool
	$(BIN)/python bench/retrieval_latency.py

bench-index: $(VENV)/.dev ## speed of a run beside bare fastembed, an unchanged book, memory for growing books
	$(BIN)/python bench/index.py $(BOOKS)/books/deep-rl-course --pages 100 1000 10000

bench-links: $(VENV)/.dev ## links and heading ids against real builds of all generators, without a setting
	$(BIN)/python bench/links.py $(BOOKS)/books/physical-ai-textbook $(BOOKS)/evalsets/docusaurus-urls/physical-ai-textbook.json \
		$(BOOKS)/books/redux-docs $(BOOKS)/evalsets/docusaurus-urls/redux-docs.json --builds tests/indexing/real-builds

bench-left-out: $(VENV)/.dev ## words of the pages that are in no passage, and what a run says that it left out
	$(BIN)/python bench/left_out.py $(BOOKS)/books/physical-ai-textbook=$(BOOKS)/evalsets/docusaurus-urls/physical-ai-textbook.json \
		$(BOOKS)/books/redux-docs=$(BOOKS)/evalsets/docusaurus-urls/redux-docs.json $(BOOKS)/books/physical-ai-textbook \
		$(BOOKS)/books/redux-docs $(BOOKS)/books/docusaurus-website $(BOOKS)/books/deep-rl-course/units/en

bench-retrieval: $(VENV)/.dev ## nDCG@10, recall and MRR of BM25, dense and fusion
	$(BIN)/python bench/retrieval.py $(BOOKS)/evalsets/scifact $(BOOKS)/evalsets/cranfield $(BOOKS)/evalsets/xquad-en \
		$(BOOKS)/evalsets/xquad-es $(BOOKS)/evalsets/hf-deep-rl-quiz

bench-abstain: $(VENV)/.dev ## whether the book covers a question: AUC of the offline tutor's decision
	$(BIN)/python bench/abstain.py $(BOOKS)/evalsets/agent/clapnq-answerability-half.jsonl

bench-offline: $(VENV)/.dev ## the gold answer stands in what the offline tutor quotes
	$(BIN)/python bench/offline.py $(BOOKS)/evalsets/xquad-en $(BOOKS)/evalsets/xquad-es

bench-answers: $(VENV)/.dev ## the offline tutor's answers to labelled questions on nine books
	$(BIN)/python -m bench.answers

bench-support: $(VENV)/.dev ## learn how much each fault of a sentence counts against its support, and show what is noticed
	$(BIN)/python bench/learn_support.py examples/physical-ai $(BOOKS)/books/deep-rl-course $(BOOKS)/books/redux-docs \
		$(BOOKS)/books/docusaurus-website/website $(BOOKS)/books/physical-ai-textbook $(BOOKS)/evalsets/xquad-en \
		$(BOOKS)/evalsets/xquad-es --write

bench-citations: $(VENV)/.dev ## work and CPU of the citation filter for answers of 10^3 to 10^7 characters
	$(BIN)/python -m bench.citations

clean: ## remove what was built; the index and the traces in .preceptor stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache

constraints: ## resolve every version anew and write constraints.txt
	rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	build/constraints/bin/python -m pip install --quiet ".[redis,postgres,formats,evaluate,otlp]" --group dev
	(echo '# Versions that tests and `make demo` install. `make constraints` writes it anew.'; \
		build/constraints/bin/python -m pip freeze --exclude preceptor) > constraints.txt
	rm -rf build/constraints
