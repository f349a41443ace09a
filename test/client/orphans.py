"""Prints what Metaxy calls orphaned, for test/t/032_orphans_client.pl.

    orphans.py DATABASE HOST PORT USER FEATURE=COLUMN...

The features are what the store itself says of them.  A line for each value that
the column has among the orphans of its feature.
"""

import sys
import warnings

import metaxy as mx
from metaxy.ext.postgresql import PostgreSQLMetadataStore

PROJECT = "media"


def main():
    warnings.simplefilter("ignore")
    database, host, port, user, *features = sys.argv[1:]
    mx.MetaxyConfig.set(mx.MetaxyConfig(project=PROJECT))
    store = PostgreSQLMetadataStore(
        connection_params={
            "host": host,
            "port": int(port),
            "user": user,
            "database": database,
        }
    )
    with store.open("r"):
        storage = mx.SystemTableStorage(store)
        snapshots = storage.read_graph_snapshots(project=PROJECT)
        newest = snapshots.sort("recorded_at")["metaxy_project_version"][-1]
        graph = storage.load_graph_from_snapshot(newest, project=PROJECT)
        with graph.use():
            for feature, column in (item.split("=") for item in features):
                orphaned = store.resolve_update(feature).orphaned.to_polars()
                for value in orphaned[column].unique():
                    print(feature, value, sep="|")


if __name__ == "__main__":
    main()
