"""Networks made elsewhere as models of Nightjar's: an nnU-Net v2 export, a MONAI bundle. Needs torch, unlike serving.

Nothing of what is imported is executed: checkpoints are read as tensors (`weights_only`), configurations as text.
"""
