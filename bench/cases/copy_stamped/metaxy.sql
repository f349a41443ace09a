COPY written FROM :'stamped';
