"""A version goes on learning from accepted labels: its ONNX back to torch, trained, exported with card and lineage.

Needs torch but for `labelled`, as nothing that serves does.
"""
