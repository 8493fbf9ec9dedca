"""Receive, persist, assemble, route: from the wire to the queued analysis. Imports no model, no Ray, no torch."""
