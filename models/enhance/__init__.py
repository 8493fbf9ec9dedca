"""MR series acquired with fewer phase-encoding lines: the missing detail estimated, what was measured left alone."""
