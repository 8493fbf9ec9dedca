"""What each demonstration study shows, on which scanner, and which state it should end in."""

from dataclasses import dataclass, replace
from typing import Literal

from models.ais.train.lesions import Infarct
from models.tumour.train.tumours import Part, Tumour
from services.demonstration.scanner import ALBATROSS, BUSSARD, CORMORAN, DORSAL, EIDER, FULMAR, GANNET, HERON, Scanner

State = Literal["analysed", "not_applicable", "failed", "parked"]
Label = Literal["IPH", "IVH", "SDH", "EDH", "SAH", "ischaemic core", "whole tumour"]


@dataclass(frozen=True)
class PlannedBleed:
    """What is put into a head, a bleed, an infarct or a tumour; the manifest gives the volume that came out."""

    label: Label
    volume_ml: float


@dataclass(frozen=True)
class PhantomPlan:
    """One study to write.

    Attributes:
        name: folder, and the word `only` takes.
        patient: an invented name, in Person Name form.
        anatomy: a head in a CT or (stroke, reduced, tumour) an MR scanner, or a trunk that no head model is meant for.
        bleeds: what is put into a head in CT.
        infarcts, tumours: what is put into a head in MR.
        tilt_deg: gantry tilt; positive: the back of each slice lies lower, as along the orbitomeatal line.
        rotation_deg: how the head lies in the scanner, degrees about the three axes.
        bone: the same acquisition is reconstructed once more with the bone kernel.
        localisers: 1 (lateral) or 2 (lateral and frontal).
        missing: instance numbers of the soft series that never arrive.
        expected: state the study ends in.
    """

    name: str
    description: str
    patient: str
    birth_date: str
    sex: Literal["F", "M"]
    scanner: Scanner
    expected: State
    anatomy: Literal["head", "trunk", "stroke", "reduced", "tumour"] = "head"
    bleeds: tuple[PlannedBleed, ...] = ()
    infarcts: tuple[Infarct, ...] = ()
    tumours: tuple[Tumour, ...] = ()
    tilt_deg: float = 0.0
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bone: bool = False
    localisers: int = 1
    missing: tuple[int, ...] = ()


_TRUNK_SCANNER = replace(
    BUSSARD,
    protocol="Abdomen nativ",
    body_part="ABDOMEN",
    descriptions={
        "localiser": "Topogramm 0.6 T20s",
        "soft": "Abdomen nativ 5.0 B30f",
        "bone": "Abdomen Knochen 5.0 B60f",
        "dose": "Patientenprotokoll",
    },
    kernels={"soft": "B30f", "bone": "B60f"},
    windows=((50, 350),),
)

DEMONSTRATION: tuple[PhantomPlan, ...] = (
    PhantomPlan(
        name="iph-ivh",
        description="deep bleed broken into the ventricles, gantry tilted",
        patient="Phantom^Amber",
        birth_date="19510412",
        sex="F",
        scanner=ALBATROSS,
        expected="analysed",
        bleeds=(PlannedBleed("IPH", 32.0), PlannedBleed("IVH", 9.0)),
        tilt_deg=18.0,
        bone=True,
    ),
    PhantomPlan(
        name="sdh",
        description="acute subdural bleed",
        patient="Phantom^Käthe",
        birth_date="19440930",
        sex="F",
        scanner=BUSSARD,
        expected="analysed",
        bleeds=(PlannedBleed("SDH", 45.0),),
        rotation_deg=(2.0, -3.0, 4.0),
        bone=True,
        localisers=2,
    ),
    PhantomPlan(
        name="missing-slices",
        description="two inner slices never arrive",
        patient="Phantom^Élodie",
        birth_date="19700101",
        sex="F",
        scanner=CORMORAN,
        expected="parked",
        bleeds=(PlannedBleed("IPH", 12.0),),
        missing=(14, 15),
    ),
    PhantomPlan(
        name="none-1",
        description="no bleed",
        patient="Phantom^Basil",
        birth_date="19880229",
        sex="M",
        scanner=ALBATROSS,
        expected="analysed",
        localisers=2,
    ),
    PhantomPlan(
        name="edh",
        description="epidural bleed",
        patient="Phantom^Žofie",
        birth_date="19990615",
        sex="F",
        scanner=DORSAL,
        expected="analysed",
        bleeds=(PlannedBleed("EDH", 38.0),),
        rotation_deg=(0.0, 4.0, -5.0),
        bone=True,
    ),
    PhantomPlan(
        name="abdomen",
        description="abdomen, which no rule matches",
        patient="Phantom^Jürgen",
        birth_date="19620305",
        sex="M",
        scanner=_TRUNK_SCANNER,
        expected="not_applicable",
        anatomy="trunk",
    ),
    PhantomPlan(
        name="sah",
        description="subarachnoid bleed",
        patient="Phantom^Odile",
        birth_date="19740821",
        sex="F",
        scanner=CORMORAN,
        expected="analysed",
        bleeds=(PlannedBleed("SAH", 25.0),),
        tilt_deg=12.0,
    ),
    PhantomPlan(
        name="mixed",
        description="subdural, subarachnoid and parenchymal bleeds after a fall",
        patient="Phantom^Ramón",
        birth_date="19530717",
        sex="M",
        scanner=DORSAL,
        expected="analysed",
        bleeds=(PlannedBleed("SDH", 30.0), PlannedBleed("SAH", 15.0), PlannedBleed("IPH", 18.0)),
        rotation_deg=(-3.0, 2.0, 6.0),
    ),
    PhantomPlan(
        name="none-2",
        description="no bleed, head turned",
        patient="Phantom^Wilhelm",
        birth_date="19471111",
        sex="M",
        scanner=BUSSARD,
        expected="analysed",
        rotation_deg=(5.0, 0.0, -9.0),
    ),
    PhantomPlan(
        name="stroke",
        description="MR: infarct in a territory with two fragments, a few hours old",
        patient="Phantom^Ingrid",
        birth_date="19560914",
        sex="F",
        scanner=EIDER,
        expected="analysed",
        anatomy="stroke",
        infarcts=(
            Infarct("territory", 28.0, adc_ratio=0.55, age=0.1, left=True),
            Infarct("embolic", 1.2, adc_ratio=0.6, age=0.1, left=True),
            Infarct("embolic", 0.8, adc_ratio=0.6, age=0.1, left=True),
        ),
        rotation_deg=(3.0, 2.0, -4.0),
    ),
    PhantomPlan(
        name="no-stroke",
        description="MR: no infarct",
        patient="Phantom^Núria",
        birth_date="19630227",
        sex="F",
        scanner=FULMAR,
        expected="analysed",
        anatomy="stroke",
        rotation_deg=(-2.0, 0.0, 3.0),
    ),
    PhantomPlan(
        name="short-protocol",
        description="MR: T2 and FLAIR acquired with 70 and 75 % of the phase-encoding lines",
        patient="Phantom^Aurelio",
        birth_date="19680519",
        sex="M",
        scanner=GANNET,
        expected="analysed",
        anatomy="reduced",
    ),
    PhantomPlan(
        name="tumour",
        description="MR with contrast: tumour that enhances around necrosis, with oedema, left",
        patient="Phantom^Solveig",
        birth_date="19590322",
        sex="F",
        scanner=HERON,
        expected="analysed",
        anatomy="tumour",
        tumours=(
            Tumour(
                "glioblastoma",
                28.0,
                rim_mm=4.0,
                gaps=0.1,
                filling=Part.NECROSIS,
                oedema_mm=12.0,
                lobes=2,
                left=True,
            ),
        ),
        rotation_deg=(2.0, -2.0, 3.0),
    ),
)
