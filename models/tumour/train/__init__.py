"""Training of the tumour model: synthetic tumours in synthetic heads, and the network that learns from them."""
