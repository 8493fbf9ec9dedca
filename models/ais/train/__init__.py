"""Synthetic diffusion studies for demonstration, evaluation and training. The anatomy is that of `models.synthesis`."""
