"""Train the network of the AIS model: python -m models.ais.train --pool DIR --out DIR"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from models.ais.train.pool import filling
from models.ais.train.training import train
from models.training import Plan


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the network of the ischaemic core on synthetic studies.")
    parser.add_argument("--pool", type=Path, required=True, help="what models.ais.train.pool made")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint and log go here")
    parser.add_argument("--labelmaps", type=Path, help="go on making cases between the steps")
    parser.add_argument("--cases", type=int, default=400, help="... up to so many")
    parser.add_argument("--minutes", type=float, default=50, help="by the clock")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=Plan.learning_rate)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--start", type=Path, help="begin with the weights of this checkpoint or ONNX")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(arguments.minutes, arguments.seed, arguments.batch, arguments.learning_rate)
    more: Iterator[Path] | None = None
    if arguments.labelmaps is not None:
        more = filling(arguments.labelmaps, arguments.pool, studies=arguments.cases, seed=arguments.seed)
    print(train(arguments.pool, arguments.out, plan, resume=arguments.resume, start=arguments.start, more=more))


if __name__ == "__main__":
    main()
