"""Instances a second by C-STORE into our listener and two others, from the same sender, taking turns."""

import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from load_tests.receivers import RECEIVERS
from load_tests.record import Figure, Measured

ASSOCIATIONS = (1, 4)
SERIES_LENGTH = 32


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Send new CT instances to each receiver in turn, in rounds; the median round counts."""
    instances, matrix, rounds = (20, 64, 1) if quick else (512, 512, 3)
    seconds: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        ports = {}
        for number, (name, receiver) in enumerate(RECEIVERS.items()):
            directory = scratch / str(number)
            directory.mkdir()
            ports[name] = stack.enter_context(receiver(directory))
        outbox = scratch / "outbox"
        for port in ports.values():  # the first association pays for imports and empty caches
            _send(port, _write(outbox, 4, matrix, 1))
        for _ in range(rounds):
            for associations in ASSOCIATIONS:
                folders = _write(outbox, instances, matrix, associations)
                for name, port in ports.items():
                    seconds.setdefault((name, associations), []).append(_send(port, folders))
    rates = {key: instances / median(taken) for key, taken in seconds.items()}
    figures = [Figure(f"{name}, {_associations(count)}", rate, "instances/s") for (name, count), rate in rates.items()]
    figures += [
        Figure(f"Nightjar to {name}, {_associations(count)}", rates["Nightjar", count] / rates[name, count], "x")
        for count in ASSOCIATIONS
        for name in RECEIVERS
        if name != "Nightjar"
    ]
    return Measured(
        f"{instances} CT instances of {matrix * matrix * 2 / 1e6:.2f} MB, DCMTK storescu with TCP_NODELAY=1, loopback, "
        f"median of {rounds}. Nightjar: fsync and a Postgres commit before each success; Orthanc: its defaults; "
        "storescp: neither fsync nor index.",
        tuple(figures),
    )


def _associations(count: int) -> str:
    return "1 association" if count == 1 else f"{count} associations"


def _write(outbox: Path, instances: int, matrix: int, folders: int) -> list[Path]:
    """New instances in as many folders, a series each SERIES_LENGTH, a study each folder."""
    shutil.rmtree(outbox, ignore_errors=True)
    noise = np.random.default_rng(0).integers(-1000, 1000, matrix * matrix, np.int16)
    made = []
    for folder in range(folders):
        directory = outbox / str(folder)
        directory.mkdir(parents=True)
        made.append(directory)
        study_uid, series_uid = generate_uid(None), ""
        for index in range(instances // folders):
            if index % SERIES_LENGTH == 0:
                series_uid = generate_uid(None)
            pixels = np.roll(noise, index).astype("<i2").tobytes()
            _write_instance(directory / f"{index:04d}.dcm", study_uid, series_uid, index, matrix, pixels)
    return made


def _write_instance(path: Path, study_uid: str, series_uid: str, index: int, matrix: int, pixels: bytes) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid(None)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study_uid, series_uid
    dataset.Modality, dataset.PatientName, dataset.PatientID = "CT", "Bench^Intake", "BENCH"
    dataset.StudyID, dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "1", "20260101", "030000", "B1"
    dataset.SeriesNumber, dataset.InstanceNumber = 1 + index // SERIES_LENGTH, 1 + index
    dataset.ImagePositionPatient = ["-115", "-115", str(5 * (index % SERIES_LENGTH))]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing, dataset.SliceThickness = ["0.45", "0.45"], "5"
    dataset.Rows = dataset.Columns = matrix
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.PixelData = pixels
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


def _send(port: int, folders: list[Path]) -> float:
    """Send each folder in an association of its own, at once; seconds until all have ended."""
    started = time.monotonic()
    senders = [
        subprocess.Popen(
            ["/usr/bin/storescu", "-aec", "NIGHTJAR", "+sd", "127.0.0.1", str(port), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"TCP_NODELAY": "1"},
        )
        for folder in folders
    ]
    said = [sender.communicate()[0] for sender in senders]
    taken = time.monotonic() - started
    for sender, output in zip(senders, said, strict=True):
        if sender.returncode or output:  # it is silent unless something went wrong
            raise RuntimeError(f"storescu ended with {sender.returncode}: {output[-500:]}")
    return taken
