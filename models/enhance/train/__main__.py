"""Train the enhancement network: python -m models.enhance.train --mr DIR --labelmaps DIR --out DIR"""

import argparse
import multiprocessing
import signal
import sys
import time
from pathlib import Path

import torch

from models.enhance.train.pool import fill
from models.enhance.train.training import train
from models.training import Plan

ENOUGH_TO_START = 3
"""Files in the pool."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the enhancement network on truncated k-space.")
    parser.add_argument("--mr", type=Path, required=True, help="folder of real MR volumes (*.nii.gz)")
    parser.add_argument("--labelmaps", type=Path, required=True, help="folder of whole-head label maps (*.nii.gz)")
    parser.add_argument("--out", type=Path, required=True, help="pool, checkpoint and log go here")
    parser.add_argument("--minutes", type=float, default=50, help="by the clock, without making the first slices")
    parser.add_argument("--real", type=int, default=60, help="files of real slices")
    parser.add_argument("--drawn", type=int, default=16, help="files of drawn slices")
    parser.add_argument("--shapes", type=int, default=16, help="files of heads made of shapes")
    parser.add_argument("--threads", type=int, default=1, help="of the network; the pool has a process of its own")
    parser.add_argument("--learning-rate", type=float, default=Plan.learning_rate, help="at the start of the budget")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--start", type=Path, help="begin with the weights of this checkpoint or ONNX")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    # An ordinary exit ends the process that fills the pool too; SIGTERM alone would leave it behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    pool = arguments.out / "pool"
    arguments.out.mkdir(parents=True, exist_ok=True)
    maker = multiprocessing.get_context("spawn").Process(
        target=fill,
        args=(arguments.mr, arguments.labelmaps, pool),
        kwargs={"real": arguments.real, "drawn": arguments.drawn, "shapes": arguments.shapes, "seed": arguments.seed},
        daemon=True,
    )
    maker.start()
    while maker.is_alive() and len(list(pool.glob("*.npy"))) < ENOUGH_TO_START:
        time.sleep(1)
    plan = Plan(
        arguments.minutes,
        arguments.seed,
        batch=8,
        learning_rate=arguments.learning_rate,
        weight_decay=1e-4,
        clip=1.0,
    )
    checkpoint = train(pool, arguments.out, plan, resume=arguments.resume, start=arguments.start)
    maker.terminate()
    print(checkpoint)


if __name__ == "__main__":
    main()
