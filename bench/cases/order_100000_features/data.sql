\set features 100000
\ir ../../graph.sql
