"""How different scanners write the same head: words, pixel encoding, order, counts."""

from dataclasses import dataclass, replace
from typing import Literal

SeriesKind = Literal["localiser", "soft", "bone", "dose", "dwi", "adc", "flair", "t1", "t2", "t1c"]


@dataclass(frozen=True)
class Scanner:
    """One way of writing CT, or the words and units of an MR scanner.

    Attributes:
        model: Manufacturer's Model Name; the manufacturer is always the phantom itself.
        character_set: Specific Character Set of everything it writes.
        descriptions: Series Description per kind of series.
        protocol: Protocol Name and Study Description of a head CT.
        kernels: Convolution Kernel per reconstruction.
        image_type: values after ORIGINAL\\PRIMARY\\AXIAL.
        scan_options: Scan Options of an axial acquisition.
        bits_stored: 12 (unsigned) or 16 (signed).
        intercept: Rescale Intercept.
        padding: Pixel Padding Value as stored, written outside the reconstruction circle; None: nothing is padded.
        descending: instance number 1 is the topmost slice.
        counts_images: Images in Acquisition is written.
        numbers_acquisitions: each slice is an acquisition of its own (step and shoot), numbered.
        windows: (centre, width) of the soft reconstruction, first is the default.
        adc_slope: Rescale Slope of ADC maps, whose stored values are in 1e-6 mm2/s.
    """

    model: str
    station: str
    software: str
    character_set: str
    protocol: str
    body_part: str
    descriptions: dict[SeriesKind, str]
    kernels: dict[Literal["soft", "bone"], str]
    image_type: tuple[str, ...]
    scan_options: str
    bits_stored: Literal[12, 16]
    intercept: int
    padding: int | None
    descending: bool
    counts_images: bool
    numbers_acquisitions: bool
    windows: tuple[tuple[int, int], ...]
    adc_slope: float = 1.0

    @property
    def signed(self) -> bool:
        return self.bits_stored == 16


ALBATROSS = Scanner(
    model="Albatross 16",
    station="CT01",
    software="3.40",
    character_set="ISO_IR 100",
    protocol="HEAD W/O",
    body_part="HEAD",
    descriptions={"localiser": "SCOUT", "soft": "HEAD W/O 5mm", "bone": "BONE 5mm", "dose": "Dose Report"},
    kernels={"soft": "SOFT", "bone": "BONEPLUS"},
    image_type=(),
    scan_options="AXIAL MODE",
    bits_stored=16,
    intercept=-1024,
    padding=-2000,
    descending=False,
    counts_images=True,
    numbers_acquisitions=False,
    windows=((40, 100),),
)

BUSSARD = Scanner(
    model="Bussard 64",
    station="CTAWP2",
    software="VB20A",
    character_set="ISO_IR 100",
    protocol="Schädel nativ (Notaufnahme)",
    body_part="HEAD",
    descriptions={
        "localiser": "Topogramm 0.6 T20s",
        "soft": "Schädel nativ 5.0 H31s",
        "bone": "Schädel Knochen 5.0 H60s",
        "dose": "Patientenprotokoll",
    },
    kernels={"soft": "H31s", "bone": "H60s"},
    image_type=("CT_SOM5 SEQ",),
    scan_options="SEQUENCE",
    bits_stored=12,
    intercept=-1024,
    padding=None,
    descending=True,
    counts_images=False,
    numbers_acquisitions=True,
    windows=((35, 80), (700, 3200)),
)

CORMORAN = Scanner(
    model="Cormoran One",
    station="SCANNER1",
    software="V6.1",
    character_set="ISO_IR 100",
    protocol="Crâne sans injection",
    body_part="HEAD",
    descriptions={
        "localiser": "Scanogramme",
        "soft": "Crâne sans IV 5mm parenchyme",
        "bone": "Crâne 5mm os",
        "dose": "Rapport de dose",
    },
    kernels={"soft": "FC26", "bone": "FC30"},
    image_type=(),
    scan_options="HELICAL_CT",
    bits_stored=16,
    intercept=0,
    padding=-2048,
    descending=False,
    counts_images=False,
    numbers_acquisitions=False,
    windows=((40, 80),),
)

DORSAL = Scanner(
    model="Dorsal 128",
    station="HOST-CT3",
    software="4.1.6",
    character_set="ISO_IR 192",
    protocol="TC cráneo simple",
    body_part="HEAD",
    descriptions={
        "localiser": "Localizador",
        "soft": "Cráneo simple 5/5",
        "bone": "Cráneo hueso 5/5",
        "dose": "Informe de dosis",
    },
    kernels={"soft": "UB", "bone": "YC"},
    image_type=("HELIX",),
    scan_options="HELIX",
    bits_stored=12,
    intercept=-1024,
    padding=None,
    descending=True,
    counts_images=True,
    numbers_acquisitions=False,
    windows=((40, 80), (50, 150)),
)

EIDER = replace(
    ALBATROSS,
    model="Eider 3T",
    station="MR01",
    software="XA60",
    protocol="MR Schädel Schlaganfall",
    descriptions={"dwi": "ep2d_diff_b0_b1000_TRACEW", "adc": "ep2d_diff_ADC", "flair": "t2_tirm_tra_dark-fluid"},
)

FULMAR = replace(
    ALBATROSS,
    model="Fulmar 3.0",
    station="RM2",
    software="5.7.1",
    character_set="ISO_IR 192",
    protocol="RM cráneo ictus",
    descriptions={"dwi": "DWI difusión b1000", "adc": "dADC", "flair": "AX FLAIR"},
    # In 1e-3 mm2/s by its slope, as some scanners write.
    adc_slope=1e-3,
)

GANNET = replace(
    ALBATROSS,
    model="Gannet 1.5",
    station="MR02",
    software="XA60",
    protocol="MR Schädel kurz",
    descriptions={"t1": "t1_se_tra", "t2": "t2_tse_tra", "flair": "t2_tirm_tra_dark-fluid"},
)

HERON = replace(
    ALBATROSS,
    model="Heron 3T",
    station="MR03",
    software="XA60",
    protocol="MR Schädel Tumor",
    descriptions={
        "t1": "t1_se_tra",
        "t2": "t2_tse_tra",
        "flair": "t2_tirm_tra_dark-fluid",
        "t1c": "t1_se_tra_KM",
    },
)
