psql -X -c "SELECT * FROM metaxy_delete('command/sample', 'id = ''s$call''')"
