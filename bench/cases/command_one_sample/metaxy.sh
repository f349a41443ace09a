metaxy metadata delete command/sample --filter "id = 's$call'"
