"""How near one image is to another: PSNR, SSIM, edges, flat tissue, and lesions put in on purpose. Pure; 2-D arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
K1, K2 = 0.01, 0.03

EDGES = 0.05
"""Share of the head's pixels, those with the steepest slope, that count as edges; the flatter half counts as flat."""


def psnr_db(image: Image, truth: Image, peak: float) -> float:
    """Peak signal-to-noise ratio over the whole slice."""
    error = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(peak**2 / error))


def ssim(image: Image, truth: Image, peak: float) -> float:
    """Mean structural similarity in Gaussian windows (sigma 1.5, 11 pixels), the rim left out.

    Source: Wang et al., IEEE Trans Image Process 2004;13:600-612.
    """
    x, y = image.astype(np.float64), truth.astype(np.float64)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndimage.gaussian_filter(values, SSIM_SIGMA, truncate=SSIM_RADIUS / SSIM_SIGMA))

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    index = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    rim = slice(SSIM_RADIUS, -SSIM_RADIUS)
    return float(index[rim, rim].mean())


def head_of(truth: Image, peak: float) -> Mask:
    """Where there is signal, holes filled."""
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_opening(truth > 0.08 * peak, iterations=2)), bool)


def edge_sharpness(image: Image, truth: Image, head: Mask, axis: int) -> float:
    """Slope along `axis` where the truth has its edges, as a share of the truth's: 1 is as sharp, less is blurred."""
    steep = np.gradient(truth, axis=axis)
    edges = _edges(steep, head)
    return float(np.abs(np.gradient(image, axis=axis))[edges].mean() / np.abs(steep)[edges].mean())


def flat_error(image: Image, truth: Image, head: Mask, axis: int, peak: float) -> float:
    """Root mean square error where the truth is flat, percent of the peak: noise and ringing."""
    slope = np.abs(np.gradient(truth, axis=axis))
    flat = head & (slope <= np.median(slope[head]))
    return 100 * float(np.sqrt(np.mean((image - truth)[flat] ** 2, dtype=np.float64))) / peak


def worst_invention(image: Image, truth: Image, head: Mask, peak: float) -> float:
    """The largest error inside the head the size of a small lesion, percent of the peak."""
    spot = ndimage.gaussian_filter(image - truth, 1.5)
    return 100 * float(np.abs(spot[head]).max()) / peak


def _edges(slope: Image, head: Mask) -> Mask:
    steep = np.abs(slope)
    return np.asarray(head & (steep >= np.quantile(steep[head], 1 - EDGES)))


@dataclass(frozen=True)
class Spot:
    """A round lesion: place, radius in pixels, and height in units of the image."""

    row: int
    column: int
    radius: float
    height: float


def draw_spots(truth: Image, head: Mask, count: int, peak: float, rng: np.random.Generator) -> list[Spot]:
    """Places for small lesions inside the head, apart from each other and from its rim."""
    free = ndimage.binary_erosion(head, iterations=10)
    spots: list[Spot] = []
    for _ in range(count):
        places = np.argwhere(free)
        if not len(places):
            break
        row, column = places[rng.integers(len(places))]
        height = peak * float(rng.uniform(0.12, 0.35)) * float(rng.choice([-1, 1]))
        level = float(truth[row - 2 : row + 3, column - 2 : column + 3].mean())
        # A dark lesion cannot be darker than nothing.
        spots.append(Spot(int(row), int(column), float(rng.uniform(1.5, 4.0)), max(height, -0.7 * level)))
        free[max(0, row - 18) : row + 19, max(0, column - 18) : column + 19] = False
    return spots


def put_in(truth: Image, spots: list[Spot]) -> Image:
    """The slice with the lesions in it, their edges as soft as the pixels make them."""
    rows, columns = np.ogrid[: truth.shape[0], : truth.shape[1]]
    image = truth.astype(np.float64)
    for spot in spots:
        distance = np.hypot(rows - spot.row, columns - spot.column)
        image = image + spot.height * ndimage.gaussian_filter((distance <= spot.radius).astype(np.float64), 0.6)
    return np.maximum(image, 0).astype(np.float32)


def contrast(image: Image, spot: Spot) -> float:
    """Mean of a lesion's core less that of a ring around it."""
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    distance = np.hypot(rows - spot.row, columns - spot.column)
    core = distance <= max(1.0, spot.radius - 0.5)
    ring = (distance > spot.radius + 2) & (distance <= spot.radius + 5)
    return float(image[core].mean() - image[ring].mean())
