/* with the memory that maintenance may take */
SET work_mem = '64MB';
\ir hand_batches.sql
