.PHONY: dev test lint dc-up dc-down

dev: node_modules ## The service on an embedded PostgreSQL, restarted on change
	npm run dev

test: ## Install, then every test
	npm cit

lint: node_modules ## Lint and type check
	npm run lint
	npm run typecheck

dc-up: ## PostgreSQL, migration and service in containers, on http://127.0.0.1:8080
	docker compose up --build

dc-down: ## End the containers; the data stays
	docker compose down

node_modules: package-lock.json
	npm ci
	touch node_modules
