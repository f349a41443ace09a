SELECT count(*) FROM sample_active;
