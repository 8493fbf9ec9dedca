"""Evaluation: a model against labelled studies, as tables, figures, a site's limits and its calibration.

find_studies -> measure_study -> summarize -> report, verdicts, calibration
"""
