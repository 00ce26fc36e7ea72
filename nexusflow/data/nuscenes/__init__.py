"""Reader of any data set in the nuScenes format: tables, cameras, boxes, vector maps, cache, clips."""
