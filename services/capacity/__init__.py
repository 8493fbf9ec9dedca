"""How many replicas a hospital needs: the day's arrivals, the pipeline as a queueing model, and its sizing."""
