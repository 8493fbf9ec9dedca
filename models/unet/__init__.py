"""The U-Net of the models on slices, alone and asked together; from a file, into a larger one. Needs torch."""
