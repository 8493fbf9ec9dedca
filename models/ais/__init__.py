"""Ischaemic core on diffusion-weighted MR: voxels, volume, side, lesions, and the DWI-FLAIR mismatch sign."""
