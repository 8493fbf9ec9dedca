"""Training of the enhancement network on truncated k-space; the only place of this model that needs torch."""
