"""Infer: the only place that touches Ray."""
