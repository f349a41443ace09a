COPY written_plain (id, grp, name, payload) FROM :'unstamped';
