"""The person's other devices: links to them, what goes over these, and how it stands.

Here the transport meets the replica. What a frame, a link or a statement is, is
decided below; what the API says of it, in `daemon.api`.
"""
