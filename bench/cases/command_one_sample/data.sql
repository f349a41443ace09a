SET client_min_messages = warning;
CREATE TABLE command_sample (id text, payload text);
SELECT metaxy_register('command/sample', 'command_sample', ARRAY['id']);
INSERT INTO command_sample SELECT 's' || i, 'p' FROM generate_series(1, :samples) AS i;
VACUUM (ANALYZE) command_sample;
