"""De-identification after PS3.15 Annex E: what leaves the hospital names nobody.

Basic Application Level Confidentiality Profile with the options Clean Pixel Data, Clean Recognizable Visual Features,
Clean Descriptors, Retain Longitudinal Temporal Information With Modified Dates, and Retain Safe Private.

index -> hold or (header -> pixels -> face -> code the method) -> write aside -> rename
"""
