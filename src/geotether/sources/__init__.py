"""Sources: images and rasters, records of rows, polygons, and the demo planet; `catalogue` names them."""
