SELECT metaxy_unregister('purged');
DROP TABLE purged, purge_origin;
