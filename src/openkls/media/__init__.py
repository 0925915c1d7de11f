"""Media in and out: drives the codecs, asks control. Rule: the path of a frame never awaits, and never asks a store."""
