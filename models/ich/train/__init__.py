"""Training of the ICH model on synthetic head CT; the only place of this model that needs torch."""
