# The stack in Docker; the Makefile includes this, so `make help` lists these targets too. docs/how-to/stack.md says more.

# What a person writes after `make user` and its kin is no code, neither of make nor of the shell.
GIVEN := NAME ROLE READ REMOVE PASSWORD REVOKE SECRET SERVICE
$(foreach name,$(GIVEN),$(eval override $(name) := $$(value $(name))))
export $(GIVEN)

# What an image's runs name as their commit where no checkout is mounted.
export GIT_COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)

.PHONY: build
build: ## Build the stack's images
	@docker/stack.sh preflight
	@docker compose build

.PHONY: up
up: ## Bring up Postgres, MinIO, MLflow, Airflow and serving, and wait until all are healthy
	@docker/stack.sh preflight
	@docker compose up --detach --wait || { docker/stack.sh why; exit 1; }
	@docker/stack.sh addresses

.PHONY: down
down: ## Stop the stack; everything is kept
	@docker compose --profile '*' down --remove-orphans

.PHONY: credentials
credentials: ## Print the names and passwords that the stack's first start generated
	@docker compose --progress quiet run --rm --no-deps -T secrets python3 -I /opt/secrets/show_credentials.py

.PHONY: rotate
rotate: ## Make secrets again, and restart what uses it: make rotate SECRET=airflow_jwt_secret
	@docker compose --progress quiet run --rm --no-deps -T secrets python3 -I /opt/secrets/rotate_secret.py $$SECRET
	@docker compose up --detach --wait --force-recreate || { docker/stack.sh why; exit 1; }

.PHONY: rotate-signing-key
rotate-signing-key: ## Make a new key that signs models; with REVOKE=ID, refuse what a leaked key signed
	@docker compose --progress quiet run --rm --no-deps -T secrets python3 -I /opt/secrets/signing_keys.py rotate "$$REVOKE"

.PHONY: user
user: ## Give a person an account in Airflow: make user NAME=ann ROLE=Viewer (Trigger, User, Approver, Op, Admin); or REMOVE=1
	@docker compose exec -T airflow-apiserver /opt/airflow/bin/add_user.py "$$NAME" "$(if $(REMOVE),--remove,$$ROLE)"

.PHONY: mlflow-user
mlflow-user: ## Give a person an account in MLflow: make mlflow-user NAME=ann READ=all (none, or water,iris); PASSWORD=new, REMOVE=1
	@docker compose exec -T mlflow with-secrets account "$$NAME" "$$READ" "$$REMOVE" "$$PASSWORD"

.PHONY: logs
logs: ## Follow the stack's logs; SERVICE=mlflow follows one
	@docker compose logs --follow --tail 100 $$SERVICE

.PHONY: clean-stack
clean-stack: ## Remove the stack with all that it keeps: runs, models, objects, passwords (asks first)
	@docker/stack.sh clean
