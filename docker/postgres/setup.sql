-- A failing statement would otherwise stand in the server's log, password and all.
SET log_min_error_statement = panic;
SET client_min_messages = warning;

-- psql reads the files itself: a value given with -v would show in the process list.
\set airflow_password `cat /run/secrets/airflow_password`
\set mlflow_password `cat /run/secrets/mlflow_password`
\set waterflow_password `cat /run/secrets/waterflow_password`

SELECT format('CREATE ROLE %I LOGIN', name)
FROM unnest(ARRAY['airflow', 'mlflow', 'waterflow']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

ALTER ROLE airflow PASSWORD :'airflow_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';
ALTER ROLE waterflow PASSWORD :'waterflow_password';

SELECT format('CREATE DATABASE %I OWNER %I', name, name)
FROM unnest(ARRAY['airflow', 'mlflow', 'waterflow']) AS name
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name)
\gexec

-- By default every role may connect to every database. Each is confined to the one that it owns.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database
\gexec

-- MLflow's accounts live apart from its runs: both keep a table of migrations, and their tables may come to share names.
\connect mlflow
CREATE SCHEMA IF NOT EXISTS auth AUTHORIZATION mlflow;
