"""RTMP 1.0 without I/O: handshake, chunks, messages, and the server's and client's session machines.

Rule: bytes and times come in as arguments; what to say goes out as bytes.
"""
