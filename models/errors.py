"""What can go wrong with an image or a model. Messages never carry patient data.

ModelError
|-- InvalidVolume      the image cannot be analysed: geometry, values or size
|-- InvalidCard        a model.yaml is wrong
|-- MissingInput       a role the model needs is not there
|-- UnwritableOutput   a result cannot be written where it should go
|-- MissingEngine      the engine asked for cannot be loaded here
`-- EngineFailure      the engine could not run the network; worth another try
    `-- OutOfMemory    for want of memory; worth another try with less at a time
"""


class ModelError(Exception):
    """Base of everything `models` raises on purpose."""


class InvalidVolume(ModelError):
    """The image cannot be analysed, and trying again would not help."""


class InvalidCard(ModelError):
    """A model.yaml does not describe a usable model."""


class MissingInput(ModelError):
    """An input role that the model needs was not given."""


class UnwritableOutput(ModelError):
    """The folder for results cannot be written."""


class MissingEngine(ModelError):
    """The engine asked for is not installed, or not for this machine."""


class EngineFailure(ModelError):
    """The engine could not run the network; another try may succeed."""


class OutOfMemory(EngineFailure):
    """There was not enough memory for what was asked at once."""
