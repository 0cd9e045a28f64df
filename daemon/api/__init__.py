"""The local HTTP API: what apps, scripts and the command line speak to.

`routes` lists every route with its typed query, body and answers; from that table
come the dispatch, the checks and the OpenAPI document. Handlers are thin: they ask the
owner to write, a reader to read, and shape what they get.

Rules: no handler touches the replica or its writer; every byte of a request is
counted, decoded by type and refused with a problem document before anything happens.
"""
