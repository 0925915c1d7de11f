"""The use cases over the ports. Rule: no I/O of their own, and no await between a question and the act it decides."""
