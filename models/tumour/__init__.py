"""Brain tumours on T1, T1 with contrast, T2 and FLAIR: enhancing and non-enhancing tumour, oedema, and their sizes."""
