"""A Metaxy client with a clock of its own, for test/t/030_client.pl.

    client.py SECONDS

SECONDS is how far its clock is ahead, or behind if negative.  It does what
the lines of its standard input say, one command a line, and ends each answer
with a line that is a dot.
"""

import sys
import warnings
from datetime import datetime, timedelta, timezone

import metaxy as mx
import metaxy.metadata_store.base
import metaxy.metadata_store.system.storage
import narwhals as nw
import polars as pl
from metaxy.ext.postgresql import PostgreSQLMetadataStore

__metaxy_project__ = "media"  # the name that Metaxy gives to the features below

RAW = "video/raw"
CHUNK = "video/chunk"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def set_clock(seconds):
    """Shifts the clock where Metaxy takes its timestamps from."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=seconds)

    metaxy.metadata_store.base.datetime = Clock
    metaxy.metadata_store.system.storage.datetime = Clock


def define_features():
    """Two features: videos, and two chunks made from each of them."""

    class Raw(
        mx.BaseFeature,
        spec=mx.FeatureSpec(key=RAW, id_columns=["video_id"], fields=["frames"]),
    ):
        video_id: str
        path: str

    class Chunk(
        mx.BaseFeature,
        spec=mx.FeatureSpec(
            key=CHUNK,
            id_columns=["chunk_id"],
            fields=["frames"],
            deps=[
                mx.FeatureDep(
                    feature=RAW,
                    lineage=mx.LineageRelationship.expansion(on=["video_id"]),
                )
            ],
        ),
    ):
        chunk_id: str
        video_id: str


def push(store):
    """What the command "metaxy push" does."""
    mx.SystemTableStorage(store).push_graph_snapshot(project=__metaxy_project__)


def write(store, take, *video_ids):
    """Writes videos; another take is another content."""
    videos = pl.DataFrame(
        {
            "video_id": video_ids,
            "path": [f"{take}/{video_id}" for video_id in video_ids],
            "metaxy_provenance_by_field": [
                {"frames": f"{take}/{video_id}"} for video_id in video_ids
            ],
        }
    )
    store.write(RAW, videos)


def update(store):
    """Makes the chunks that Metaxy finds missing or stale, and tells of which
    videos those were, and which ones it finds orphaned."""
    increment = store.resolve_update(CHUNK)
    for name in "new", "stale", "orphaned":
        videos = getattr(increment, name).to_polars()
        print(name, *sorted(set(videos["video_id"])))
        if name != "orphaned" and len(videos) > 0:
            chunks = [
                videos.with_columns(chunk_id=pl.col("video_id") + f"/{i}")
                for i in (1, 2)
            ]
            store.write(CHUNK, pl.concat(chunks).drop("path", strict=False))


def delete(store, feature, *video_ids):
    """Metaxy's own soft delete."""
    store.delete(feature, nw.col("video_id").is_in(video_ids))


def hard_delete(store, feature, *video_ids):
    """Metaxy's own hard delete."""
    store.delete(feature, nw.col("video_id").is_in(video_ids), soft=False)


def empty(store, feature):
    """Metaxy's own hard delete of everything, which is a TRUNCATE."""
    store.delete(feature, None, soft=False, with_feature_history=True)


def drop(store, feature):
    """Metaxy's way to be rid of a feature's table."""
    store.drop_feature_metadata(feature)


def read(store, feature, include_soft_deleted=""):
    """Prints rows: the columns in the order of their names, but for those
    with JSON; timestamps in microseconds, NULL as nothing."""
    rows = (
        store.read(feature, include_soft_deleted=bool(include_soft_deleted))
        .collect()
        .to_polars()
    )
    names = sorted(name for name in rows.columns if not name.endswith("_by_field"))
    for row in rows.select(names).iter_rows():
        print(*map(to_text, row), sep="|")


def to_text(value):
    if value is None:
        return ""
    if isinstance(value, datetime):
        return str((value - EPOCH) // timedelta(microseconds=1))
    return str(value)


def connect(database, host, port, user):
    return PostgreSQLMetadataStore(
        connection_params={
            "host": host,
            "port": int(port),
            "user": user,
            "database": database,
        },
        auto_create_tables=True,
    )


def main():
    # Metaxy warns that it creates tables, and of what it is asked to do here
    warnings.simplefilter("ignore")
    set_clock(float(sys.argv[1]))
    mx.MetaxyConfig.set(mx.MetaxyConfig(project=__metaxy_project__))
    define_features()

    commands = push, write, update, delete, hard_delete, empty, drop, read
    commands = {command.__name__: command for command in commands}
    store = None
    for line in sys.stdin:
        name, *arguments = line.split()
        if name == "connect":
            store = connect(*arguments)
        else:
            with store.open("w"):
                commands[name](store, *arguments)
        print(".", flush=True)


if __name__ == "__main__":
    main()
