COPY written_plain FROM :'stamped';
