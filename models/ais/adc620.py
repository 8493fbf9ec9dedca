"""Ischaemic core by the consensus rule: seeds where ADC is at most 620e-6 mm2/s, the boundary drawn on the DWI.

Diffusion is restricted where ADC is low and the DWI bright at once. Bright tissue whose ADC is not low is T2
shine-through and left out. Every number is in the rule's file; none is fitted to patients.
"""

from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy import ndimage

from models.ais.core import NEIGHBOURS, Core, Mask
from models.ais.preprocess import Diffusion
from models.errors import InvalidCard


class Numbers(BaseModel):
    """The rule's file. ADC in 1e-6 mm2/s; z in robust standard deviations of the tissue's DWI signal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed_adc: float = Field(gt=0, description="A seed's ADC is at most this.")
    least_adc: float = Field(ge=0, description="Less is fat, noise or no signal.")
    seed_signal: float = Field(gt=1, description="A seed's DWI is at least this many times the usual one.")
    seed_z: float = Field(gt=0)
    boundary_signal: float = Field(gt=1, description="Tissue joined to a seed belongs to the core from this signal on.")
    boundary_z: float = Field(gt=0)
    boundary_adc_ratio: float = Field(gt=0, description="... and up to this ADC, over the brain's usual one.")
    reach_mm: float = Field(gt=0, description="... and within this distance of a seed.")
    rim_mm: float = Field(ge=0, description="Seeds lie this deep in the brain; its rim is partial volume and scalp.")
    lesion_z: float = Field(gt=0, description="The upper quartile of a lesion's signal reaches this.")
    lesion_adc: float = Field(gt=0, description="The lower quartile of a lesion's ADC is at most this.")
    smallest_ml: float = Field(ge=0)
    smallest_voxels: int = Field(ge=1)
    flagged: float = Field(ge=0, le=1, description="Share of the fitting studies with a core that had a stroke.")
    unflagged: float = Field(ge=0, le=1, description="Share of those without a core that had one.")
    base_share: float = Field(ge=0, le=1, description="The lowest share of the brain's height is skull base.")
    base_smallest_ml: float = Field(ge=0, description="Less is taken for a susceptibility artefact there.")
    base_rim_mm: float = Field(ge=0, description="... and so is what lies wholly this near the brain's rim there.")


def read_numbers(path: Path) -> Numbers:
    """Read a rule's file.

    Raises:
        InvalidCard: it is no such file.
    """
    try:
        return Numbers.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise InvalidCard(f"{path} does not hold the numbers of adc620. Install ais again.") from error


def find_core(images: Diffusion, rule: Numbers) -> Core:
    """Apply the rule."""
    spacing = (float(np.median(images.volume.slab_mm)), *images.volume.spacing_mm)
    smooth = ndimage.gaussian_filter(images.signal, [0.0, *(0.5 / mm for mm in spacing[1:])], truncate=2)
    adc = _smooth_adc(images, spacing)
    z = (smooth - 1) / images.spread
    brain = images.brain
    depth_mm = np.stack([ndimage.distance_transform_edt(plane, sampling=spacing[1:]) for plane in brain])
    usual = float(np.median(adc[brain & (adc > 450) & (adc < 1250)]))
    boundary = (
        brain
        & (smooth >= rule.boundary_signal)
        & (z >= rule.boundary_z)
        & (adc >= rule.least_adc)
        & (adc <= rule.boundary_adc_ratio * usual)
    )
    seeds = boundary & (adc <= rule.seed_adc) & (smooth >= rule.seed_signal) & (z >= rule.seed_z)
    seeds &= depth_mm > rule.rim_mm
    if not seeds.any():
        return Core(seeds, np.zeros(seeds.shape, np.int32), ())
    near = ndimage.distance_transform_edt(~seeds, sampling=spacing) <= rule.reach_mm
    grown = ndimage.binary_propagation(seeds, mask=boundary & near, structure=NEIGHBOURS)
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in grown])
    return _lesions(filled & brain, z, adc, depth_mm, images, rule)


def _smooth_adc(images: Diffusion, spacing: tuple[float, ...]) -> NDArray[np.float32]:
    """The map a little smoothed in its plane: single noisy voxels are no seeds."""
    known = (images.adc > 0).astype(np.float32)
    sigma = [0.0, *(0.7 / mm for mm in spacing[1:])]
    weight = ndimage.gaussian_filter(known, sigma, truncate=2)
    smooth = ndimage.gaussian_filter(images.adc, sigma, truncate=2) / np.maximum(weight, 1e-6)
    return np.asarray(np.where(weight > 0.3, smooth, 0), np.float32)


def _lesions(
    grown: Mask,
    z: NDArray[np.float32],
    adc: NDArray[np.float32],
    depth_mm: NDArray[np.float64],
    images: Diffusion,
    rule: Numbers,
) -> Core:
    """Lesions that are restricted as a whole; specks, and what susceptibility does at the skull base, are left out."""
    parts, _ = ndimage.label(grown, structure=NEIGHBOURS)
    volume = images.volume
    voxel_ml = np.broadcast_to(volume.voxel_ml[:, None, None], parts.shape)
    heights = volume.positions_mm[:, 2]
    slices = np.flatnonzero(images.brain.any(axis=(1, 2)))
    low, high = sorted((float(heights[slices[0]]), float(heights[slices[-1]])))
    base_mm = low + rule.base_share * (high - low)
    kept: list[tuple[float, int]] = []
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[box] == number
        ml = float(voxel_ml[box][part].sum())
        at_base = bool((heights[box[0]][part.any(axis=(1, 2))] < base_mm).all())
        if part.sum() < rule.smallest_voxels or ml < rule.smallest_ml:
            continue
        if np.quantile(z[box][part], 0.75) < rule.lesion_z or np.quantile(adc[box][part], 0.25) > rule.lesion_adc:
            continue
        shallow = float(np.quantile(depth_mm[box][part], 0.9)) < rule.base_rim_mm
        if at_base and (ml < rule.base_smallest_ml or shallow):
            continue
        kept.append((ml, number))
    return Core.of(parts, kept)
