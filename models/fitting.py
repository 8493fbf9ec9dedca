"""Weights of the signs that a model's probabilities are made of; see models/evidence.py."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

RIDGE = 0.02


def logistic(signs: NDArray[np.float64], shown: NDArray[np.bool_]) -> list[float]:
    """Offset and weights of a ridge logistic regression; the penalty is on standardised signs."""
    middle, spread = signs.mean(axis=0), signs.std(axis=0) + 1e-6
    x = np.column_stack([np.ones(len(signs)), (signs - middle) / spread])

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ w
        p = expit(z)
        value = np.mean(np.logaddexp(0, z) - shown * z) + RIDGE * (w[1:] @ w[1:]) / 2
        return float(value), x.T @ (p - shown) / len(x) + RIDGE * np.concatenate([[0], w[1:]])

    w = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    slopes = w[1:] / spread
    return [round(float(v), 4) for v in (w[0] - slopes @ middle, *slopes)]
