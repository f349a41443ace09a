\set features 10000
\ir ../../graph.sql
