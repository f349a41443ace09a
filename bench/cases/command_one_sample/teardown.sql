SELECT metaxy_unregister('command/sample');
DROP TABLE command_sample;
