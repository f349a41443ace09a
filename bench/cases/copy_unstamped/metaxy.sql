COPY written (id, grp, name, payload) FROM :'unstamped';
