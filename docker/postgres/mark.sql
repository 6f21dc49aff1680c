-- The mark of this installation. The superuser owns it, so no role of the stack can remove it.
\set id `cat /run/secrets/installation_id`
CREATE SCHEMA IF NOT EXISTS installation;
CREATE TABLE IF NOT EXISTS installation.mark (id text NOT NULL);
BEGIN;
DELETE FROM installation.mark WHERE id <> :'id';
INSERT INTO installation.mark SELECT :'id' WHERE NOT EXISTS (SELECT FROM installation.mark);
COMMIT;
