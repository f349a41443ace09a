\ir ../../graph_away.sql
