#!/bin/sh
# Gives the console its own role and database in PostgreSQL, so that it is no superuser. compose.yaml runs this for a new volume.
# For a volume of an earlier version, whose superuser is `windlass`, see docs/operate.md, "Upgrade". Running it twice does no harm.
#
# Afterwards `windlass` owns its database and nothing else. The superuser `postgres` has no password, and signs in only by the
# socket in the database's own container.
set -eu
: "${PASSWORD_FILE:=/run/secrets/database_password}"
export PASSWORD_FILE

run() { # run ROLE DATABASE: run the SQL from stdin, all of it or nothing
    PGOPTIONS=--client-min-messages=warning psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --username "$1" --dbname "$2"
}

if echo "SELECT 1" | run postgres postgres >/dev/null 2>&1; then
    superuser=postgres
else
    superuser=windlass
fi

if [ "$superuser" = windlass ]; then
    # A role cannot rename itself, and the first superuser cannot become an ordinary role: it owns the system's tables.
    run windlass windlass <<'SQL'
SELECT 'CREATE ROLE handover SUPERUSER LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'handover') \gexec
SQL
    run handover windlass <<'SQL'
BEGIN;
ALTER ROLE windlass RENAME TO postgres;
CREATE ROLE windlass;
ALTER DATABASE windlass OWNER TO windlass;
SELECT format('ALTER TABLE %s OWNER TO windlass', oid::regclass) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') \gexec
COMMIT;
SQL
fi

run postgres postgres <<'SQL'
\set password `cat "$PASSWORD_FILE"`
SELECT 'CREATE ROLE windlass' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'windlass') \gexec
ALTER ROLE windlass LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
SELECT 'CREATE DATABASE windlass OWNER windlass' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'windlass') \gexec
ALTER ROLE postgres PASSWORD NULL;
DROP ROLE IF EXISTS handover;
SQL
