\set table ten_times_less
SELECT :samples / 10 AS samples \gset
\ir ../../read.sql
