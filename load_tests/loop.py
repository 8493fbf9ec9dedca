"""The whole circle on drawn heads: predict, correct, accept, release, fine-tune, shadow, promote; before and after.

A small network learned dense bleeds alone. A hospital's bleeds are paler; its experts correct what was missed, and the
version that learned from their corrections is held against the first on heads that neither has seen: pale ones, which
it should have learned, and dense ones, which it should not have forgotten; with cases of the first training mixed in
(half and half) and without.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_router import assemble, route
from dicom_router.persist import persist
from load_tests.drawn_heads import SHAPE, STEP_MM, DrawnHead, draw_head
from load_tests.record import Figure, Measured
from load_tests.small_networks import small_network, write_version
from models.adding import add_model
from models.card import Card
from models.finetune.ich import SEEN_HU, case_of, cut
from models.finetune.labelled import Labelled, Read
from models.finetune.run import Dice, finetune
from models.finetune.run import measure as measure_dice
from models.ich.maps import Maps
from models.ich.preprocess import prepare
from models.ich.train.training import Cases, loss_on
from models.prediction import Prediction
from models.registry import Model, load_card, load_model, load_shipped, use_shelf, weights_of
from models.shelf import Shelf, Standing
from models.training import Plan, learn
from models.volume import Volume
from services.context import Context
from services.datasets.choosing import Strategy
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.release.export import export
from services.datasets.release.lessons import open_release, read_lessons
from services.demonstration.ct import ct_series
from services.demonstration.header import StudyHeader
from services.demonstration.plan import DEMONSTRATION
from services.inference.infer import Infer
from services.inference.planned import plans
from services.inference.shadow import Shadowing
from services.ledger import consent, courses
from services.ledger.accounts import Account, Role, create_account, find_account
from services.ledger.consent import Consent, ConsentEntry
from services.ledger.experts import read_corrected
from services.ledger.intake import Sender, close_association, open_association
from services.ledger.jobs import Stage
from services.ledger.workitems import State
from services.lifecycle.evidence import Evidence
from services.lifecycle.standing import gather, promote, put_in_shadow
from services.parts import register_models
from services.review import workflow
from services.review.masks import Mask
from services.review.next_cases import choose_next
from services.review.sources import read_grid
from services.review.tasks import Task, find_task, load_tasks
from services.settings import PromotionSettings

LEARNED_HU, MET_HU = 74.0, 47.0
FIRST, NEXT, PLAIN = "0.0.1", "0.0.2", "0.0.2-plain"
WIDTHS = (8, 12, 16)
KEY = Pseudonyms(b"the key of the circle's own bench")


@dataclass(frozen=True)
class Scale:
    """How many heads and steps."""

    first: int = 8
    corrected: int = 12
    shadowed: int = 3
    held_out: int = 6
    first_steps: int = 150
    more_steps: int = 90
    batch: int = 4


QUICK = Scale(first=3, corrected=6, shadowed=2, held_out=2, first_steps=3, more_steps=3)


@dataclass(frozen=True)
class Circle:
    """What came of it.

    Attributes:
        before, after: mean Dice of each version on the held-out heads with pale bleeds.
        known_before, known_after: the same with dense bleeds, as the first version learned them.
        plain, known_plain: of a version that went on without cases of the first training, on pale and on dense ones.
        replayed: cases of the first training mixed in for the version that serves.
        answered: Dice of the first version's answers with what experts accepted, of the studies corrected.
        learned: studies of the release's training split.
        evidence: of the shadow, on which the new version was promoted.
        serving: the version that serves in the end.
    """

    before: float
    after: float
    known_before: float
    known_after: float
    plain: float
    known_plain: float
    replayed: int
    answered: float
    learned: int
    evidence: Evidence
    serving: str


@dataclass(frozen=True)
class Answer:
    """What a replica would send."""

    prediction: Prediction
    preview: bytes = b"no picture"


@dataclass(frozen=True)
class InProcess:
    """Both versions in this process, in place of Ray, by application."""

    models: Mapping[str, Model]

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> Answer:
        return self.ask(model, inputs)

    def ask(self, application: str, inputs: Mapping[str, Volume], priority: int | None = None) -> Answer:  # noqa: ARG002
        return Answer(self.models[application].predict(inputs))


@dataclass(frozen=True)
class Hospital:
    """A ledger with models and people."""

    context: Context
    shelf: Shelf
    annotator: Account
    reviewer: Account
    heads: dict[str, DrawnHead] = field(default_factory=dict)
    """By Study Instance UID."""
    opened: dict[str, Model] = field(default_factory=dict)
    """By version."""

    def open(self, version: str) -> Model:
        """A version, loaded once."""
        if version not in self.opened:
            self.opened[version] = load_model("ich", threads=1, version=version)
        return self.opened[version]

    @property
    def task(self) -> Task:
        return find_task(load_tasks(), "ich")

    def observe(self, head: DrawnHead, number: int) -> None:
        """A study comes in, is routed, answered by the version that serves, and by the one in its shadow."""
        datasets = instances(head, number)
        self.heads[str(datasets[0].StudyInstanceUID)] = head
        _receive(self.context, datasets)
        with self.context.pool.connection() as connection:
            entry = ConsentEntry(Consent.GRANTED, "Drawn by a program.", patient_id=str(datasets[0].PatientID))
            consent.record(connection, [entry], by=self.reviewer.name)
        planned = plans(self.context.settings.inference)
        shadows = {each.application: self.open(each.card.version) for each in planned.values()}
        models = InProcess({"ich": self.open(load_card("ich").version), **shadows})
        _run_jobs(
            self.context,
            {
                "assemble": assemble.STAGE,
                "route": route.STAGE,
                "infer": Infer(models, planned).stage(attempts=1),
                "shadow": Shadowing(models, planned).stage(),
            },
        )

    def correct(self, count: int) -> None:
        """Experts correct and accept studies chosen at random, drawing what is there."""
        choice = choose_next(self.context, self.task, Strategy.RANDOM, count, by=self.reviewer.name)
        for item in choice.workitems:
            assert item is not None
            with self.context.pool.connection() as connection:
                row = connection.execute("SELECT * FROM workitem WHERE id = %s", [item]).fetchone()
                connection.execute("UPDATE workitem SET readers = 1 WHERE id = %s", [item])
            assert row is not None
            mask = Mask(self.heads[row["study_uid"]].labels, read_grid(self.context, row["series_uid"]))
            workflow.take(self.context, self.annotator, item)
            workflow.grade(self.context, self.annotator, item, 5)
            workflow.save(
                self.context, self.annotator, item, mask, base_digest=None, tool="Nightjar editor", submit=True
            )
            for target in (State.IN_REVIEW, State.ACCEPTED):
                workflow.decide(self.context, self.reviewer, item, target)


def run_circle(context: Context, folder: Path, scale: Scale) -> Circle:
    """Go round once, everything below `folder`."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(3)
    with _hospital(context, folder, scale, rng) as hospital:
        for number in range(scale.corrected):
            hospital.observe(draw_head(rng, MET_HU), number)
        hospital.correct(scale.corrected)
        export(hospital.context, hospital.task, folder / "release", "Pale bleeds", KEY)

        card = load_card("ich")
        lessons = read_lessons(open_release(folder / "release"), card)
        plan = Plan(scale.more_steps / 60, batch=scale.batch, learning_rate=6e-3)
        known, held_out = _unseen(LEARNED_HU, scale.held_out), _unseen(MET_HU, scale.held_out)
        go_on = partial(finetune, card, weights_of(card), lessons, plan=plan, known=known)
        plain = go_on(out=folder / "plain", version=PLAIN, clock=_steps())
        made = go_on(out=folder / "new", version=NEXT, replay=folder / "pool", clock=_steps())

        add_model(folder / "plain", hospital.shelf)
        add_model(folder / "new", hospital.shelf)
        put_in_shadow(hospital.shelf, "ich", NEXT, 1.0)
        for number in range(scale.shadowed):
            hospital.observe(draw_head(rng, MET_HU), scale.corrected + number)
        hospital.correct(scale.shadowed)
        evidence = gather(hospital.context, "ich", NEXT)
        promote(hospital.context, hospital.shelf, "ich", NEXT, account="bench")
        use_shelf(hospital.shelf.folder)
        return Circle(
            before=_iph(measure_dice(hospital.open(FIRST), held_out)),
            after=_iph(measure_dice(hospital.open(NEXT), held_out)),
            known_before=_iph(made.known_before),
            known_after=_iph(made.known_after),
            plain=_iph(measure_dice(hospital.open(PLAIN), held_out)),
            known_plain=_iph(plain.known_after),
            replayed=made.replayed,
            answered=_answered(hospital.context),
            learned=made.learned,
            evidence=evidence,
            serving=load_card("ich").version,
        )


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Once round; the figures are of one network and one seed."""
    from load_tests.pages import ledger  # a database and a browser of its own: the test, which has both, takes neither

    scale = QUICK if quick else Scale()
    with ledger(scratch) as context:
        policy = PromotionSettings(
            studies=scale.shadowed, flagged=0, flags_lost=1, dice=0, time_ratio=100,
            experts=scale.shadowed, experts_margin=1 if quick else 0,
        )  # fmt: skip
        found = run_circle(
            replace(context, settings=context.settings.model_copy(update={"promotion": policy})), scratch, scale
        )
    experts = found.evidence.experts
    assert experts is not None
    return Measured(
        f"Drawn heads of {' x '.join(map(str, SHAPE))} with one round "
        f"bleed; a network of widths {', '.join(map(str, WIDTHS))} that learned {scale.first} heads with bleeds of "
        f"{LEARNED_HU:g} HU in {scale.first_steps} steps (known cases), and the same after {scale.more_steps} more on "
        f"what experts accepted of heads with bleeds of {MET_HU:g} HU (new cases); with cases of its first training "
        "mixed in, as many as of the release, and without. Real Postgres, intake, routing, review, release, shadow and "
        "promotion; models in the process. Synthetic: no clinical accuracy.",
        (
            Figure("Studies answered, corrected and accepted", scale.corrected, ""),
            Figure("... of them in the release's training split", found.learned, ""),
            Figure("Dice of the first version's answers with what was accepted", found.answered, ""),
            Figure("... cases of the first training mixed in", found.replayed, ""),
            Figure(f"New cases, Dice on {scale.held_out} held-out heads: before", found.before, ""),
            Figure("New cases: after, with cases mixed in", found.after, ""),
            Figure("New cases: after, without", found.plain, ""),
            Figure(f"Known cases, Dice on {scale.held_out} held-out heads: before", found.known_before, ""),
            Figure("Known cases: after, with cases mixed in", found.known_after, ""),
            Figure("Known cases: after, without", found.known_plain, ""),
            Figure(f"Dice with the experts in shadow, {experts.studies} studies, live", experts.live_dice, ""),
            Figure(f"Dice with the experts in shadow, {experts.studies} studies, new", experts.new_dice, ""),
        ),
    )


@contextmanager
def _hospital(context: Context, folder: Path, scale: Scale, rng: np.random.Generator) -> Iterator[Hospital]:
    """With a first version that serves, and two people who may do their work."""
    shelf = Shelf(folder / "models")
    write_first(folder, scale, rng)
    add_model(folder / "first", shelf)
    shelf.stand("ich", Standing(live=FIRST))
    use_shelf(shelf.folder)
    inference = context.settings.inference.model_copy(update={"models": ("ich",), "models_dir": shelf.folder})
    ours = replace(context, settings=context.settings.model_copy(update={"inference": inference}))
    register_models(ours)
    people = {}
    with ours.pool.connection() as connection:
        for name, role in (("ana", Role.ANNOTATOR), ("cy", Role.REVIEWER)):
            create_account(connection, name, "a long bench password", [role])
            courses.record_experience(connection, name, date(2004, 3, 1))
            people[name] = find_account(connection, name)
        courses.admit(connection, "ana", "ich", passed=True, decided_by="cy", reason="Draws what is there.")
    ana, cy = people["ana"], people["cy"]
    assert ana is not None
    assert cy is not None
    try:
        yield Hospital(ours, shelf, ana, cy)
    finally:
        use_shelf(None)


def write_first(folder: Path, scale: Scale, rng: np.random.Generator) -> Card:
    """A version whose small network learned dense bleeds, as `nightjar model add` takes it."""
    pool = folder / "pool"
    pool.mkdir()
    card = load_shipped("ich")
    assert card is not None
    seen = card.preprocess.model_copy(update={"window": SEEN_HU, "centre": 0.0, "scale": 1.0})
    for number in range(scale.first):
        head = draw_head(rng, LEARNED_HU)
        slices = prepare(head.volume, seen)
        inside, left = cut(head.brain, slices), cut(head.left, slices)
        nothing = np.zeros(slices.images.shape, np.float32)
        maps = Maps(nothing[:, None], inside, nothing, left.astype(np.float32))
        case_of(head.labels, slices, maps, card).save(pool / f"train-{number:05d}.npz")
    network = small_network("ich", WIDTHS)
    plan = Plan(scale.first_steps / 60, batch=scale.batch, learning_rate=1e-2)
    loss_of = loss_on(network, Cases(pool, "train", card.preprocess.neighbours), plan.batch)
    learn(network, loss_of, pool, plan, resume=False, clock=_steps())
    return write_version("ich", network, folder / "first", FIRST)


def instances(head: DrawnHead, number: int) -> list[Dataset]:
    """The head as a scanner sends it, of a patient of its own."""
    plan = replace(DEMONSTRATION[0], name=f"circle-{number}", patient=f"Circle^Patient{number}", tilt_deg=0.0)
    header = StudyHeader(plan, seed=77, number=number)
    return list(ct_series(header, head.volume, series_number=2, kernel="soft", thickness_mm=STEP_MM))


def _receive(context: Context, datasets: list[Dataset]) -> None:
    sender = Sender(uuid.uuid4(), "BENCH", "NIGHTJAR", "127.0.0.1:1")
    with context.pool.connection() as connection:
        open_association(connection, sender, datetime.now(UTC))
    for dataset in datasets:
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = False, True
        write_dataset(buffer, dataset)
        persist(context, buffer.getvalue(), ExplicitVRLittleEndian, sender)
    with context.pool.connection() as connection:
        close_association(connection, sender.association_id, "released", datetime.now(UTC))


def _run_jobs(context: Context, stages: Mapping[str, Stage]) -> None:
    """The waiting jobs of these stages, until none is left."""
    while True:
        with context.pool.connection() as connection:
            job = connection.execute(
                """DELETE FROM procrastinate_jobs WHERE id = (
                       SELECT id FROM procrastinate_jobs WHERE status = 'todo' AND task_name = ANY(%s)
                       ORDER BY priority DESC, id LIMIT 1) RETURNING task_name, args""",
                [list(stages)],
            ).fetchone()
        if job is None:
            return
        stages[job["task_name"]].run(context, job["args"]["identifier"])


def _unseen(blood_hu: float, count: int) -> list[Read]:
    rng = np.random.default_rng(11)
    return [partial(_labelled, draw_head(rng, blood_hu)) for _ in range(count)]


def _iph(dice: Dice) -> float:
    return dice.get("IPH", 0.0)


def _labelled(head: DrawnHead) -> Labelled:
    return Labelled({"NCCT": head.volume}, head.labels)


def _answered(context: Context) -> float:
    """Mean Dice of the answers with what experts accepted, in the studies that the first version was corrected in."""
    with context.pool.connection() as connection:
        found = read_corrected(connection, datetime(2000, 1, 1, tzinfo=UTC))
    return mean(pair.dice or 0.0 for each in found for pair in each.labels.values())


def _steps() -> Callable[[], float]:
    """A clock on which every step of a training takes a second."""
    steps = itertools.count()
    return lambda: float(next(steps))
