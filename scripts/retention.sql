--
-- retention.sql: removes for good what has long been deleted.  See the usage
-- below.
--
-- It is not one transaction: rows go batch by batch, and where it is
-- interrupted, the next run does the rest.
--

\set ON_ERROR_STOP on
\ir start.psql

\set metaxy_usage no
\if :{?feature}
	\set metaxy_one yes
	\if :{?older_than}
	\else
		\set metaxy_usage yes
	\endif
\else
	\set metaxy_one no
	\if :{?older_than}
		\set metaxy_usage yes
	\endif
\endif
\if :metaxy_usage
	\warn 'Usage: psql -X -d DATABASE [-v feature=KEY -v older_than=INTERVAL] [-v NAME=VALUE]... \\'
	\warn '            -f retention.sql'
	\warn
	\warn 'Shows what metaxy_purge() would remove, and removes it if that is confirmed.'
	\warn 'Without a feature it does what is due, by metaxy_maintain().'
	\warn
	\warn '  feature     the feature'
	\warn '  older_than  samples that have been deleted for that long: "90 days"'
	\warn '  history     "true" also removes superseded rows that old'
	\warn '  batch_size  about how many rows a transaction removes; 10000 by default'
	\warn '  confirm     "yes" removes'
	\set SHOW_CONTEXT never
	DO $$BEGIN
		RAISE EXCEPTION 'variables "feature" and "older_than" are needed, or none of them'
			USING ERRCODE = 'invalid_parameter_value';
	END$$;
\endif

\if :{?history}
\else
	\set history false
\endif
\if :{?batch_size}
\else
	\set batch_size 10000
\endif
\ir confirm.psql

\if :metaxy_one
	\echo 'What would be removed:'
	CALL :"metaxy_schema".metaxy_purge(:'feature', :'older_than',
									   history => :'history', dry_run => true);
	\if :metaxy_confirmed
		\echo 'What was removed:'
		CALL :"metaxy_schema".metaxy_purge(:'feature', :'older_than',
										   history => :'history',
										   batch_size => :'batch_size');
	\endif
\elif :metaxy_confirmed
	CALL :"metaxy_schema".metaxy_maintain();
\endif

\if :metaxy_confirmed
\else
	\echo 'Nothing was removed.  To remove it, add:  -v confirm=yes'
\endif
