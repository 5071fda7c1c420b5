# The tasks of a clone. Each target first creates the environment that it needs (.venv).

.PHONY: run test bench chaos lint format lock screenshots docs

run: ## Start the console with its worker, its watcher and, if there is none, a private Docker engine
	@sh scripts/environment.sh && exec .venv/bin/python manage.py up

test: ## Run the static checks and all tests
	@sh scripts/test.sh

bench: ## Compare Windlass with its peers, as root. BENCH="--only hook --only storm" runs two parts
	@sh scripts/bench.sh $(BENCH)

chaos: ## Kill workers, consoles and engines at every operation and check the outcome, as root. CHAOS="--trials 50" runs fewer
	@sh scripts/chaos.sh $(CHAOS)

lint: ## Run the static checks only
	@sh scripts/environment.sh dev && exec sh scripts/lint.sh

format: ## Format the code with ruff
	@sh scripts/environment.sh dev && .venv/bin/ruff check --quiet --fix . ; .venv/bin/ruff format --quiet .

lock: ## Pin the packages of requirements.in and requirements-dev.in with their hashes
	@sh scripts/environment.sh dev && exec sh scripts/lock.sh

screenshots: ## Retake the pictures in docs/images, with a private engine and a private Swarm, as root
	@sh scripts/screenshots.sh

docs: ## Build the documents as a site into var/docs
	@sh scripts/environment.sh dev && NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs --quiet build && echo "Open var/docs/index.html"
