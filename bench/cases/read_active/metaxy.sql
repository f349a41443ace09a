SELECT count(name) FROM sample_active;
