"""One study of every model through the whole model, on each engine: how far apart logits, marks and volumes are.

The studies are the demonstration's, with something to find; windows and postprocessing are the model's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from load_tests.record import Figure, Measured
from models.dicom import read_folder
from models.engines import Engine, EngineChoice, Tensors, open_engine
from models.engines.available import list_engines
from models.engines.half import in_half
from models.prediction import Prediction
from models.registry import Model, load_card, weights_of
from models.volume import Volume
from services.demonstration.phantom import write_phantoms

THREADS = 2
REFERENCE: EngineChoice = "onnxruntime"
MOST_DICE, MOST_VOLUME = 0.001, 0.005
"""Largest difference of an engine's marks and volumes from the reference's: 1 - Dice, and relative."""

STUDIES: dict[str, tuple[str, dict[str, int]]] = {
    "ich": ("mixed", {"NCCT": 2}),
    "ais": ("stroke", {"DWI": 2, "ADC": 3, "FLAIR": 4}),
    "tumour": ("tumour", {"T1": 2, "T2": 3, "FLAIR": 4, "T1c": 5}),
    "enhance": ("short-protocol", {"REDUCED": 3}),
}
"""By model: which study of the demonstration, and its series by role."""


@dataclass
class Listening:
    """An engine whose answers are kept."""

    engine: Engine
    answers: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.engine.name

    def run(self, inputs: Tensors) -> dict[str, NDArray[np.float32]]:
        found = self.engine.run(inputs)
        self.answers += found.values()
        return found


@dataclass(frozen=True)
class Answer:
    """What an engine gave: the network's answers in the order asked, and what the model made of them."""

    engine: str
    logits: Sequence[NDArray[np.float32]]
    prediction: Prediction
    volumes_ml: Mapping[str, float]


@dataclass(frozen=True)
class Difference:
    """Of one answer from another.

    Attributes:
        logit: largest of the network's answers.
        dice: largest 1 - Dice of any label that either marks; 0 for a model that makes images.
        volume: largest relative difference of any label's volume.
        image: largest of the image, as a share of its brightest voxel; 0 for a model that marks.
    """

    logit: float
    dice: float
    volume: float
    image: float

    @property
    def within(self) -> bool:
        """Whether marks, volumes and image are the same to everybody who reads them."""
        return self.dice <= MOST_DICE and self.volume <= MOST_VOLUME and self.image <= MOST_VOLUME


@cache
def study(model: str, scratch: Path, matrix: int = 256) -> dict[str, Volume]:
    """A model's study by role.

    Args:
        matrix: of the CT, whose anatomy is drawn at any size.
    """
    name, series = STUDIES[model]
    [written] = write_phantoms(scratch / model, only=[name], matrix=matrix)
    card = load_card(model)
    return {
        role: read_folder(written.directory / f"series{number}", card.inputs[0].modality, any_plane=True)
        for role, number in series.items()
    }


def ask(model: str, engine: Engine, inputs: Mapping[str, Volume]) -> Answer:
    """A model's answer with its network on this engine."""
    card, listening = load_card(model), Listening(engine)
    whole: Model = import_module(f"models.{model}.model").create(card, listening)
    prediction = whole.predict(inputs)
    reference = inputs[card.reference_of(inputs).role]
    volumes = {label.name: reference.measure_ml(prediction.segmentation == label.value) for label in card.labels}
    return Answer(engine.name, listening.answers, prediction, volumes)


def rounded(half: bytes) -> bytes:
    """A network in float16 for engines without it: the same numbers in float32, tensors rounded to float16's 11 bits
    as it is written, sums in float32. Tensor cores do so; range is not imitated.

    ONNX Runtime's CPU would leave out the casts that a network in float16 needs there, and round its weights alone.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(half), strict_mode=True)
    graph = model.graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    graph.initializer.append(numpy_helper.from_array(np.array(2**13 + 1, np.float32), "split"))
    nodes = []
    for node in graph.node:
        nodes.append(node)
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
        for place, name in enumerate(node.output):
            if kinds.get(name) == TensorProto.FLOAT16:  # Veltkamp's splitting: the high part is what float16 keeps
                exact, large, low = f"{name}.exact", f"{name}.large", f"{name}.low"
                node.output[place] = exact
                nodes += [
                    helper.make_node("Mul", [exact, "split"], [large]),
                    helper.make_node("Sub", [large, exact], [low]),
                    helper.make_node("Sub", [large, low], [name]),
                ]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def compare(given: Answer, expected: Answer) -> Difference:
    """How far one answer is from another to the same study."""
    ours, theirs = given.prediction, expected.prediction
    marks = []
    for value in np.union1d(ours.segmentation, theirs.segmentation):
        if value:
            one, other = ours.segmentation == value, theirs.segmentation == value
            marks.append(1 - 2 * int((one & other).sum()) / (int(one.sum()) + int(other.sum())))
    volumes = [
        abs(given.volumes_ml[name] - volume) / max(volume, given.volumes_ml[name])
        for name, volume in expected.volumes_ml.items()
        if max(volume, given.volumes_ml[name]) > 0
    ]
    image = 0.0
    if ours.image is not None and theirs.image is not None:
        image = float(np.abs(ours.image - theirs.image).max() / theirs.image.max())
    return Difference(
        logit=max(float(np.abs(one - other).max()) for one, other in zip(given.logits, expected.logits, strict=True)),
        dice=max(marks, default=0.0),
        volume=max(volumes, default=0.0),
        image=image,
    )


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Every engine of this machine against ONNX Runtime on the CPU, and the network in float16 on that."""
    figures: list[Figure] = []
    engines = [entry.name for entry in list_engines() if entry.why_not is None and entry.name != REFERENCE]
    absent = [f"{entry.name} ({entry.why_not})" for entry in list_engines() if entry.why_not is not None]
    names = [open_engine(weights_of(load_card("ich")), threads=THREADS, engine=REFERENCE).name]
    for model in STUDIES:
        card = load_card(model)
        weights, inputs = weights_of(card), study(model, scratch, 128 if quick else 256)
        expected = ask(model, open_engine(weights, threads=THREADS, engine=REFERENCE), inputs)
        ways: dict[str, Engine] = {
            name: open_engine(weights, threads=THREADS, engine=name, terms=card.terms, folder=scratch / "engines")
            for name in engines
        }
        names += [way.name for way in ways.values() if way.name not in names]
        half = scratch / f"{model}-half.onnx"
        half.write_bytes(rounded(in_half(weights.read_bytes())))
        ways["float16"] = open_engine(half, threads=THREADS, engine=REFERENCE)
        for name, engine in ways.items():
            found = compare(ask(model, engine, inputs), expected)
            figures.append(Figure(f"{model}, {name}: largest logit difference", found.logit, "1"))
            if expected.prediction.image is None:
                figures.append(Figure(f"{model}, {name}: 1 - Dice, worst label", found.dice, "1"))
                figures.append(Figure(f"{model}, {name}: volume difference, worst label", 100 * found.volume, "%"))
            else:
                figures.append(Figure(f"{model}, {name}: image difference to its brightest", 100 * found.image, "%"))
    return Measured(
        f"{', '.join(names)}, against {names[0]}; one synthetic study a model, windows and postprocessing included. "
        "float16: the network as TensorRT gets it, its weights and every tensor rounded so, sums in float32. "
        f"Not on this machine: {'; '.join(absent) or 'none'}.",
        tuple(figures),
    )
