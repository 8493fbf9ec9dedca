"""Objects with identifiers planted everywhere one can stand, and the places where each was put.

Every name, number and address is invented. The same seed makes the same objects.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmwrite
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless
from scipy import ndimage

ROOT: Final = "1.2.826.0.1.3680043.10.543.6"
_FAMILY: Final = (
    *("Quillfeather", "Zamorano", "Oyelaran", "Brzezińska", "Lindqvist", "Vandersloot", "Pfefferkorn", "Ōtomo"),
    *("Achterberg", "Long", "Brain", "Škvorecký", "Nakagawara", "Delacroix", "O'Halloran", "王"),
)
_GIVEN: Final = ("Wilhelmina", "Casimir", "Anneliese", "Thaddeus", "Ngozi", "Bartholomew", "Søren", "Xiulan", "小明")
_TOWN: Final = ("Kirchweiler", "Northhaven", "Vallombrosa", "Puddlemere", "Oudekerke")
_STREET: Final = ("Gasworks Lane", "Lindenallee", "Via Condotti", "Rue du Moulin")


@dataclass(frozen=True)
class Cast:
    """What objects are made of that differs from one set to another: names, lots, and how letters are drawn.

    Attributes:
        lots: a number that no other set draws by.
        bitmap: letters of a pixel font as well.
        left: letters begin up to so many columns from the left.
        anywhere: letters of many sizes at any place and brightness, bold, slanted or turned, on speckle, and
            some ultrasound without any.
    """

    family: tuple[str, ...]
    given: tuple[str, ...]
    town: tuple[str, ...]
    street: tuple[str, ...]
    lots: int
    bitmap: bool = False
    left: int = 6
    anywhere: bool = False


SEEN: Final = Cast(_FAMILY, _GIVEN, _TOWN, _STREET, lots=41)
"""The set that the detector of text and the lists of words were made on."""

UNSEEN: Final = Cast(
    ("Featherstonehaugh", "Kowalczyk", "Ferreira", "Öztürk", "Hartley", "Nguyễn", "Sørlie", "Abernathy", "Head", "陳"),
    ("Ottoline", "Krzysztof", "Marisol", "Émilie", "Tadashi", "Bronwen", "Ulrike", "美玲"),
    ("Steinfurth", "Marblethorpe", "Castelvetro", "Grimstad"),
    ("Mühlgraben", "Orchard Close", "Calle Mayor", "Quai Sud"),
    lots=97,
    bitmap=True,
    left=60,
)
"""A set made afterwards: other people, other letters, other places."""

LAST: Final = Cast(
    ("Grünwaldt", "Papadimitriou", "Mbeki-Olsen", "Rasmussen", "Tanaka", "Villanueva", "Hughes", "Żuławski", "Stein"),
    ("Leopold", "Anastasia", "Hyun-woo", "Mireille", "Saoirse", "Benedikt", "Yolanda"),
    ("Hollenstedt", "Carraighmore", "Montefalco", "Ballerup"),
    ("Fischmarkt", "Harbour Row", "Avenida del Sol", "Sentier des Dunes"),
    lots=211,
    anywhere=True,
)
"""A set that was looked at only when the detector was done."""

_CLASSES: Final = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
}
_DESCRIPTIONS: Final = (
    "CT Chest contrast axial 5 mm",
    "Abdomen native 3 mm",
    "Knee sagittal T2 fs",
    "Thorax lung window 1 mm",
)
_NOT_PLANTED: Final = frozenset({"SpecificCharacterSet", "CodingSchemeDesignator", "BurnedInAnnotation", "PixelData"})
"""What the reader itself needs, or the header cleaning's decisions lean on."""

_HARMLESS: Final = frozenset(
    "KVP SliceThickness PixelSpacing ImageOrientationPatient ImageType Rows BodyPartExamined RescaleSlope WindowCenter"  # noqa: SIM905
    " Modality PhotometricInterpretation SeriesNumber InstanceNumber Manufacturer SOPClassUID".split()
)
_IMAGE_GROUPS: Final = (0x0002, 0x0004, 0x0028, 0x7FE0, 0x0000, 0xFFFA, 0xFFFC, 0xFFFE)
TEXT_VRS: Final = ("LO", "SH", "ST", "LT", "UC", "UT")


@dataclass(frozen=True)
class Person:
    """Somebody invented."""

    family: str
    given: str
    number: str
    short: str
    born: str
    street: str
    phone: str
    mail: str

    @property
    def name(self) -> str:
        return f"{self.family}^{self.given}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be found nowhere."""
        return (self.family, self.given, self.number, self.number.split("-")[1], self.short, self.born, self.street,
                self.phone, self.phone[-7:], self.mail)  # fmt: skip


@dataclass
class Planted:
    """An object, its file, and what should become of it.

    Attributes:
        people: all whose data stand in it.
        planted: path of each planted element (tags from the top, item numbers between) to its keyword and VR.
        kept: path of each element that says nothing of anybody to its value.
        letters: where letters were drawn, (row, column), or None; clean is the image without them.
        embedded: the bits above the image's hold an overlay.
    """

    name: str
    dataset: Dataset
    people: tuple[Person, ...]
    planted: dict[tuple[int, ...], str] = field(default_factory=dict)
    kept: dict[tuple[int, ...], Any] = field(default_factory=dict)
    safe_private: list[tuple[int, ...]] = field(default_factory=list)
    letters: NDArray[np.bool_] | None = None
    clean: NDArray[Any] | None = None

    def encoded(self) -> bytes:
        buffer = BytesIO()
        dcmwrite(buffer, self.dataset, enforce_file_format=True)
        return buffer.getvalue()


def plant(seed: int, cast: Cast = SEEN) -> Planted:
    """One object with its patient's and other people's data in about 120 places."""
    rng = np.random.default_rng([seed, cast.lots])
    patient = _person(np.random.default_rng([seed // 4, cast.lots - 34]), cast)  # some objects of one patient
    other = _person(rng, cast)
    modality = ("CT", "MR", "US", "CR", "OT")[seed % 5]
    dataset = _image(rng, modality, seed)
    made = Planted(f"{patient.family}_{patient.number}_{seed}.dcm", dataset, (patient, other))
    made.kept = {(int(element.tag),): element.value for element in dataset if element.keyword in _HARMLESS}
    dataset.PatientName, dataset.PatientID = patient.name, patient.number
    dataset.OtherPatientIDs, dataset.PatientBirthDate = patient.short, patient.born
    dataset.ReferringPhysicianName = other.name
    for keyword in ("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate", "ReferringPhysicianName"):
        made.planted[(int(Tag(keyword)),)] = keyword
    dataset.AccessionNumber, dataset.StudyID = "A" + other.number, "1"
    _plant_attributes(made, rng)
    _plant_description(made, rng)
    _plant_private(made, rng)
    _plant_layers(made, rng)
    if cast.anywhere:
        _speckle(made, rng)
    if modality == "OT" or seed % 3 == 0 or (modality == "US" and not (cast.anywhere and seed % 2)):
        (_draw_anywhere if cast.anywhere else _draw_letters)(made, rng, cast)
    _encode(made, rng)
    return made


def _person(rng: np.random.Generator, cast: Cast) -> Person:
    family, given = str(rng.choice(cast.family)), str(rng.choice(cast.given))
    number = f"PT-{rng.integers(20_000_000, 99_999_999)}"
    born = f"{rng.integers(1931, 1999)}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
    plain = re.sub(r"[^a-z]", "", family.lower()) or "someone"
    return Person(
        family,
        given,
        number,
        str(rng.integers(20_000, 32_000)),
        born,
        f"{rng.choice(cast.street)} {rng.integers(1, 200)} {rng.choice(cast.town)}",
        f"+49 {rng.integers(200, 999)} {rng.integers(1_000_000, 9_999_999)}",
        f"{plain}@{rng.choice(cast.town).lower()}.example",
    )


def _image(rng: np.random.Generator, modality: str, seed: int) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.Modality = _CLASSES[modality], modality
    study = seed // 4
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.{study}", f"{ROOT}.{study}.{seed}"
    dataset.SOPInstanceUID, dataset.FrameOfReferenceUID = f"{ROOT}.{study}.{seed}.1", f"{ROOT}.{study}.9"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if modality != "OT" else ["DERIVED", "SECONDARY"]
    dataset.StudyDate, dataset.StudyTime = f"20{rng.integers(10, 26)}0{rng.integers(1, 10)}17", "231502.125"
    dataset.Manufacturer = "SIEMENS"
    dataset.BodyPartExamined = str(rng.choice(["CHEST", "ABDOMEN", "KNEE"]))
    dataset.StudyDescription, dataset.SeriesDescription = str(rng.choice(_DESCRIPTIONS)), "Thorax axial"
    dataset.SeriesNumber, dataset.InstanceNumber = 2, 1
    size = 192
    dataset.Rows = dataset.Columns = size
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation = 0
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    body = np.hypot(rows / 0.42, columns / 0.36) < 1
    values = body * (900 + 250 * np.sin(9 * rows + seed)) + rng.normal(0, 18, (size, size)) + 60
    if modality in ("US", "OT"):
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        pixels = np.clip(values / 6, 0, 255).astype(np.uint8)
    else:
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.WindowCenter = "1", "-1024", "40"
        dataset.KVP, dataset.SliceThickness, dataset.PixelSpacing = "120", "5", ["0.7", "0.7"]
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = ["0", "0", "5"], ["1", "0", "0", "0", "1", "0"]
        pixels = np.clip(values, 0, 4000).astype(np.uint16)
    if modality == "US":
        region = Dataset()
        region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 30
        region.RegionLocationMaxX1, region.RegionLocationMaxY1 = size - 1, size - 1
        dataset.SequenceOfUltrasoundRegions = Items([region])
    dataset.PixelData = pixels.tobytes()
    return dataset


@cache
def _plantable() -> tuple[tuple[int, str, str], ...]:
    """Every public attribute of the dictionary that may stand in an image: tag, VR, keyword."""
    return tuple(
        (tag, str(vr), keyword)
        for tag, (vr, _, _, retired, keyword) in DicomDictionary.items()
        if keyword and not retired and len(str(vr)) == 2 and vr != "SQ"
        and tag >> 16 not in _IMAGE_GROUPS and keyword not in _NOT_PLANTED
    )  # fmt: skip


@cache
def _by_vr() -> dict[str, tuple[tuple[int, str, str], ...]]:
    found: dict[str, list[tuple[int, str, str]]] = {}
    for entry in _plantable():
        found.setdefault(entry[1], []).append(entry)
    return {vr: tuple(entries) for vr, entries in found.items()}


def _plant_attributes(made: Planted, rng: np.random.Generator) -> None:
    """Two attributes of every VR, 60 of any, at the top and inside sequences two deep."""
    chosen = [entries[i] for entries in _by_vr().values() for i in rng.integers(0, len(entries), 2)]
    everything = _plantable()
    chosen += [everything[i] for i in rng.integers(0, len(everything), 60)]
    outer, inner = Dataset(), Dataset()
    for number, (tag, vr, keyword) in enumerate(chosen):
        target, path = (
            (made.dataset, ()),
            (outer, (0x00081140, 0)),
            (inner, (0x00081140, 0, 0x0040A170, 0)),
        )[number % 3 if number > 40 else 0]
        if tag in target or (tag,) in made.kept:
            continue
        person = made.people[number % 2] if vr not in _NUMBERS else made.people[0]
        target.add(DataElement(Tag(tag), vr, secret_value(vr, person, rng)))
        made.planted[(*path, tag)] = keyword
    outer.add(DataElement(Tag(0x0040A170), "SQ", Items([inner])))
    outer.ReferencedSOPInstanceUID = made.dataset.SOPInstanceUID
    made.dataset.add(DataElement(Tag(0x00081140), "SQ", Items([outer])))


_NUMBERS: Final = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT", "OF", "OD", "OL", "OV"})


def secret_value(vr: str, person: Person, rng: np.random.Generator) -> Any:
    """Something of a person in a Value Representation."""
    digits = int(person.number.split("-")[1])
    sentence = str(
        rng.choice(
            [
                f"{person.given} {person.family}, born {person.born[6:]}.{person.born[4:6]}.{person.born[:4]}",
                f"Tel {person.phone} {person.mail}",
                f"MRN {person.number} {person.street}",
                f"head of {person.family} {person.number}",
            ]
        )
    )
    plain = re.sub(r"[^A-Z]", "", person.family.upper()) or "SOMEONE"
    simple: dict[str, Any] = {
        "PN": person.name,
        "LO": sentence[:64],
        "SH": person.number[:16],
        **dict.fromkeys(("ST", "LT", "UC", "UT"), sentence),
        "AE": plain[:16],
        "CS": (plain + "_" + person.short)[:16],
        "AS": "087Y",
        "DA": person.born,
        "TM": "031415.926535",
        "DT": person.born + "031415.926535",
        "IS": str(digits),
        "DS": str(digits),
        "UI": f"1.2.840.99999.{digits}",
        "UR": f"https://records.example/{person.number}",
        **dict.fromkeys(("US", "SS"), int(person.short)),
        **dict.fromkeys(("UL", "SL", "UV", "SV"), digits),
        **dict.fromkeys(("FL", "FD"), float(digits)),
        "AT": Tag(digits),
        "OF": np.array([float(person.short)] * 2, "<f4").tobytes(),
        "OD": np.array([float(digits)], "<f8").tobytes(),
        "OL": np.array([digits], "<u4").tobytes(),
        "OV": np.array([digits], "<u8").tobytes(),
    }
    if vr in simple:
        return simple[vr]
    data = person.name.encode()
    return data + b" " * (len(data) % 2)


def _plant_description(made: Planted, rng: np.random.Generator) -> None:
    """A name and a number among words that should stay."""
    patient = made.people[0]
    made.dataset.SeriesDescription = f"Thorax axial {patient.family} 5 mm {patient.number}"
    made.dataset.ProtocolName = f"{made.people[1].given} native {patient.phone}"[:64]
    made.planted[(int(Tag("SeriesDescription")),)] = "SeriesDescription"
    made.planted[(int(Tag("ProtocolName")),)] = "ProtocolName"
    made.dataset.file_meta = FileMetaDataset()
    made.dataset.file_meta.SourceApplicationEntityTitle = "AE" + patient.short
    made.dataset.preamble = patient.name.encode()[:128].ljust(128, b"\0")
    del rng


def _plant_private(made: Planted, rng: np.random.Generator) -> None:
    patient, other = made.people
    block = made.dataset.private_block(0x0029, f"ACME {other.family}"[:60], create=True)
    block.add_new(0x10, "LO", patient.name)
    block.add_new(0x11, "OB", patient.name.encode() + b" " * (len(patient.name.encode()) % 2))
    item = Dataset()
    item.PatientName = patient.name
    block.add_new(0x12, "SQ", Items([item]))
    siemens = made.dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    siemens.add_new(0x0C, "IS", "1000")
    siemens.add_new(0x08, "LO", patient.number)
    philips = made.dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
    philips.add_new(0x03, "FL", 800.0)
    philips.add_new(0x23, "DS", patient.number.split("-")[1])
    made.safe_private = [(0x0019100C,), (0x20011003,)]
    del rng


def _plant_layers(made: Planted, rng: np.random.Generator) -> None:
    """Overlays beside the pixels and in their spare bits, and a curve."""
    dataset, patient = made.dataset, made.people[0]
    dataset.add_new(0x60000010, "US", dataset.Rows)
    dataset.add_new(0x60000011, "US", dataset.Columns)
    dataset.add_new(0x60000022, "LO", patient.name)
    dataset.add_new(0x60003000, "OW", rng.integers(0, 256, dataset.Rows * dataset.Columns // 8, np.uint8).tobytes())
    dataset.add_new(0x60004000, "LT", patient.street)
    dataset.add_new(0x50000022, "LO", patient.name)
    dataset.add_new(0x50003000, "OW", b"\1\2" * 8)


def _draw_letters(made: Planted, rng: np.random.Generator, cast: Cast) -> None:
    """The patient's name in the image, as scanners and workstations draw it: in a corner, mostly of one value."""
    dataset, patient = made.dataset, made.people[0]
    pixels, kind = _drawable(dataset)
    made.clean = pixels.copy()
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont = ImageFont.load_default(size=int(rng.integers(11, 19)))
    if cast.bitmap and rng.random() < 0.4:
        font = ImageFont.load_default_imagefont()
    layer = Image.new("L", pixels.shape[::-1], 0)
    draw = ImageDraw.Draw(layer)
    draw.fontmode = str(rng.choice(["1", "L"]))
    plain = re.sub(r"[^A-Za-z]", "", patient.family) or "Someone"
    where = (int(rng.integers(6, cast.left)) if cast.left > 6 else 6, int(rng.choice([4, dataset.Rows - 26])))
    draw.text(where, f"{plain.upper()} {patient.short}", fill=255, font=font)
    share = np.asarray(layer) / 255.0
    top = int(rng.choice([200, 255]) if dataset.BitsAllocated == 8 else rng.choice([2600, 4095]))
    drawn = np.round(pixels * (1 - share) + top * share).astype(kind)
    made.letters = share > 0.5
    dataset.PixelData = drawn.tobytes()
    if rng.random() < 0.5:
        dataset.BurnedInAnnotation = "YES"


def _speckle(made: Planted, rng: np.random.Generator) -> None:
    """The grain of coherent waves, smoothed as a scanner's interpolation does."""
    pixels, kind = _drawable(made.dataset)
    coarse = rng.rayleigh(0.8, [side // 3 + 1 for side in pixels.shape])
    grain = ndimage.zoom(coarse, 3, order=1)[: pixels.shape[0], : pixels.shape[1]]
    if made.dataset.Modality != "US":
        grain = 1 + 0.1 * (grain - 1)
    top = 240 if kind.itemsize == 1 else 2500
    made.dataset.PixelData = np.clip(pixels * grain * 0.7, 0, top).astype(kind).tobytes()


def _draw_anywhere(made: Planted, rng: np.random.Generator, cast: Cast) -> None:
    """The patient's name at any place and size, upright, bold or slanted, along a row or a column."""
    del cast
    dataset, patient = made.dataset, made.people[0]
    pixels, kind = _drawable(dataset)
    made.clean = pixels.copy()
    bold = int(rng.random() < 0.3)
    font = ImageFont.load_default(size=int(rng.integers(10, 27)))
    plain = re.sub(r"[^A-Za-z]", "", patient.family) or "Someone"
    words = str(rng.choice([f"{plain} {patient.short}", f"{plain.upper()} {patient.born}", patient.number]))
    layer = Image.new("L", pixels.shape[::-1], 0)
    draw = ImageDraw.Draw(layer)
    draw.fontmode = str(rng.choice(["1", "L"]))
    below = 32 if dataset.Modality == "US" else 2
    where = (int(rng.integers(2, 40)), int(rng.integers(below, dataset.Rows - 34)))
    draw.text(where, words, fill=255, font=font, stroke_width=bold)
    if rng.random() < 0.3:  # slanted
        shear = float(rng.uniform(0.1, 0.3))
        layer = layer.transform(layer.size, Image.Transform.AFFINE, (1, shear, -shear * where[1], 0, 1, 0))
    share = np.asarray(layer) / 255.0
    if rng.random() < 0.3:
        share = share.T
    full = 255 if kind.itemsize == 1 else 4095
    drawn = np.round(pixels * (1 - share) + round(full * float(rng.uniform(0.75, 1.0))) * share).astype(kind)
    made.letters = share > 0.5
    dataset.PixelData = drawn.tobytes()
    if rng.random() < 0.5:
        dataset.BurnedInAnnotation = "YES"


def _drawable(dataset: Dataset) -> tuple[NDArray[Any], np.dtype[Any]]:
    kind = np.dtype("u1" if dataset.BitsAllocated == 8 else "<u2")
    return np.frombuffer(dataset.PixelData, kind).reshape(dataset.Rows, dataset.Columns).copy(), kind


def _encode(made: Planted, rng: np.random.Generator) -> None:
    """Spare bits, trailing bytes, and one of three transfer syntaxes."""
    dataset = made.dataset
    syntax = rng.choice([ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
    if dataset.BitsAllocated == 16:
        pixels = np.frombuffer(dataset.PixelData, "<u2").copy()
        pixels |= (rng.integers(0, 2, pixels.shape) << 13).astype(np.uint16)
        dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    else:
        dataset.PixelData += made.people[0].name.encode() + b" " * (len(made.people[0].name.encode()) % 2)
        dataset.file_meta.TransferSyntaxUID = syntax
