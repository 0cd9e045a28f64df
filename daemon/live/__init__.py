"""Bodies that are edited live: the y-websocket protocol, rooms and presence."""
