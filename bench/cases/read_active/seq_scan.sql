SELECT count(name) FROM sample;
