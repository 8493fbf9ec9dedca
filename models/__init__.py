"""Models: a Volume goes in, a Prediction comes out. No network, no database, no Ray."""
