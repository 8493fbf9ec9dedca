"""DICOMweb (PS3.18) over what is held: QIDO-RS, WADO-RS and STOW-RS for viewers, archives and programs."""
