"""Train the ICH model: python -m models.ich.train --labelmaps DIR --out DIR"""

import argparse
import json
import multiprocessing
import signal
import sys
import time
from pathlib import Path

import torch

from models.ich.train.network import new_network
from models.ich.train.pool import fill
from models.ich.train.training import train, validate
from models.training import Plan, read_weights

ENOUGH_TO_START = 24
SAVE_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the ICH model on synthetic head CT.")
    parser.add_argument("--labelmaps", type=Path, required=True, help="folder of whole-head label maps (*.nii.gz)")
    parser.add_argument("--out", type=Path, required=True, help="pool, checkpoint and log go here")
    parser.add_argument("--minutes", type=float, default=70, help="training time, without making the first cases")
    parser.add_argument("--cases", type=int, default=600, help="size of the pool")
    parser.add_argument("--threads", type=int, default=1, help="of the network; the pool has a process of its own")
    parser.add_argument("--learning-rate", type=float, default=Plan.learning_rate, help="at the start of the budget")
    parser.add_argument("--compiled", action="store_true", help="compile the network first; wants a C++ compiler")
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
        args=(arguments.labelmaps, pool),
        kwargs={"count": arguments.cases, "seed": arguments.seed},
        daemon=True,
    )
    maker.start()
    while maker.is_alive() and len(list(pool.glob("*.npz"))) < min(ENOUGH_TO_START, arguments.cases):
        time.sleep(1)
    checkpoint = train(
        pool,
        arguments.out,
        Plan(arguments.minutes, arguments.seed, learning_rate=arguments.learning_rate, save_s=SAVE_S),
        resume=arguments.resume,
        start=arguments.start,
        compiled=arguments.compiled,
    )
    maker.terminate()
    network = new_network()
    read_weights(network, checkpoint)
    print(json.dumps(validate(network, pool), indent=2))


if __name__ == "__main__":
    main()
