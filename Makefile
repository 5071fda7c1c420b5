# What there is to do with a clone. Each target makes the environment it needs (.venv) first.

.PHONY: run test bench chaos lint format lock screenshots

run: ## Start the console with its worker, its watcher and, where there is none, a Docker engine
	@sh scripts/environment.sh && exec .venv/bin/python manage.py up

test: ## Everything that decides whether a change is good: static checks and all test layers
	@sh scripts/test.sh

bench: ## Measure Windlass beside its peers and print one table of ratios; BENCH="--only storm" for a part of it: as root
	@sh scripts/bench.sh $(BENCH)

chaos: ## Kill workers, consoles and engines at every operation, and let the engines judge; CHAOS="--trials 50": as root
	@sh scripts/chaos.sh $(CHAOS)

lint: ## The static layer alone
	@sh scripts/environment.sh dev && exec sh scripts/lint.sh

format: ## Write the code as ruff formats it
	@sh scripts/environment.sh dev && .venv/bin/ruff check --quiet --fix . ; .venv/bin/ruff format --quiet .

lock: ## Pin requirements.in and requirements-dev.in with their hashes
	@sh scripts/environment.sh dev && exec sh scripts/lock.sh

screenshots: ## Take the pictures in docs/images anew, of a console with a private engine and a private Swarm: as root
	@sh scripts/screenshots.sh
