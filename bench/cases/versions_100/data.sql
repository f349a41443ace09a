\set table versions_10
\set versions 10
\ir ../../read.sql
