DO $$
BEGIN
	FOR i IN 1 .. 200 LOOP
		EXECUTE format('SELECT * FROM metaxy_delete(%L, %L)', 'sample',
					   format('id = %L', 'id-' || lpad((i * 37)::text, 9, '0')));
	END LOOP;
END $$;
