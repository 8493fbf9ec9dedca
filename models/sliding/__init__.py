"""Networks that run over a whole image in windows, described by their card alone: those that a site brings itself."""
