"""Train the network of the tumour model: python -m models.tumour.train --pool DIR --out DIR"""

import argparse
from pathlib import Path

import torch

from models.training import Plan
from models.tumour.train.training import train


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the network of tumours on synthetic studies.")
    parser.add_argument(
        "--pool", type=Path, required=True, help="what models.tumour.train.pool made, or makes meanwhile"
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoint and log go here")
    parser.add_argument("--minutes", type=float, default=60, help="by the clock")
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--learning-rate", type=float, default=Plan.learning_rate)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--middle", action="store_true", help="the small network of ventricles and left")
    parser.add_argument("--start", type=Path, help="begin with the weights of this checkpoint or ONNX")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(arguments.minutes, arguments.seed, arguments.batch, arguments.learning_rate)
    print(
        train(
            arguments.pool, arguments.out, plan, resume=arguments.resume, start=arguments.start, middle=arguments.middle
        )
    )


if __name__ == "__main__":
    main()
