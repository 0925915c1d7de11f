"""The rules of live streaming, synchronous. Rule: no I/O, no clock; time is an argument."""
