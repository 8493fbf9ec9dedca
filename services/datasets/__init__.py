"""Datasets: what labelled studies say about a model."""
