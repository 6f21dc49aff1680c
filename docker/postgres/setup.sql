-- A failing statement would otherwise stand in the server's log, password and all.
SET log_min_error_statement = panic;

-- psql reads the files itself: a value given with -v would show in the process list.
\set airflow_password `cat /run/secrets/airflow_password`
\set mlflow_password `cat /run/secrets/mlflow_password`
\set waterflow_password `cat /run/secrets/waterflow_password`
\set waterflow_owner_password `cat /run/secrets/waterflow_owner_password`
\set waterflow_serving_password `cat /run/secrets/waterflow_serving_password`

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['airflow', 'mlflow', 'waterflow', 'waterflow_owner', 'waterflow_serving']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE airflow PASSWORD :'airflow_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';
ALTER ROLE waterflow PASSWORD :'waterflow_password';
ALTER ROLE waterflow_owner PASSWORD :'waterflow_owner_password';
ALTER ROLE waterflow_serving PASSWORD :'waterflow_serving_password';
ALTER ROLE waterflow RESET ALL;  -- a role may change its own settings
ALTER ROLE waterflow_serving RESET ALL;

SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('airflow', 'airflow'), ('mlflow', 'mlflow'), ('waterflow', 'waterflow_owner')) AS wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

-- Tasks hold the password of `waterflow`. It owns nothing of the ledger: waterflow.ledger.owner migrates the tables as
-- `waterflow_owner` and grants what the other may do.
ALTER DATABASE waterflow OWNER TO waterflow_owner;

-- By default every role may connect to every database. Each is confined to its own.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database
\gexec

REVOKE ALL ON DATABASE waterflow FROM waterflow;
GRANT CONNECT, TEMPORARY ON DATABASE waterflow TO waterflow;
GRANT CONNECT ON DATABASE waterflow TO waterflow_serving;  -- it records what it answers

\connect waterflow
GRANT USAGE, CREATE ON SCHEMA public TO waterflow;  -- for the tables of Optuna's studies
-- Tables of the ledger from before its owner was another role; it moves them into its own schema.
SELECT format('ALTER TABLE public.%I OWNER TO waterflow_owner', tablename)
FROM pg_tables
WHERE schemaname = 'public' AND to_regclass('ledger.waterflow_ledger_version') IS NULL AND tablename IN
  ('waterflow_ledger', 'waterflow_ledger_projection', 'waterflow_look', 'waterflow_ledger_version')
\gexec

-- MLflow's accounts live apart from its runs: both keep a table of migrations, and their tables may come to share names.
\connect mlflow
CREATE SCHEMA IF NOT EXISTS auth AUTHORIZATION mlflow;
