// Volumes, agreement and changed slices, counted slice by slice so that a stroke costs one slice.

/** Millilitres of one voxel of each slice: half the way to each neighbour, as the server counts them. */
export function voxelMl({ offsets, slices, rowStep, columnStep }) {
  return Array.from({ length: slices }, (_, k) => {
    if (slices === 1) return (rowStep * columnStep) / 1000;
    const gap = (n) => offsets[n + 1] - offsets[n];
    const below = gap(Math.max(0, k - 1));
    const above = gap(Math.min(slices - 2, k));
    return (((below + above) / 2) * rowStep * columnStep) / 1000;
  });
}

export class Figures {
  /** `reference`: the answer's voxels, or null when there is none to compare with. */
  constructor(labels, reference, stack) {
    Object.assign(this, { labels, reference, ml: voxelMl(stack) });
    this.slices = Array.from({ length: labels.slices }, (_, k) => this.#count(k));
  }

  update(slices) {
    for (const k of slices) this.slices[k] = this.#count(k);
  }

  #count(k) {
    const own = new Uint32Array(256);
    const theirs = new Uint32Array(256);
    const both = new Uint32Array(256);
    let changed = 0;
    const { size, voxels } = this.labels;
    for (let i = k * size; i < (k + 1) * size; i += 1) {
      const mine = voxels[i];
      const other = this.reference ? this.reference[i] : 0;
      own[mine] += 1;
      theirs[other] += 1;
      if (mine === other) both[mine] += 1;
      else changed += 1;
    }
    return { own, theirs, both, changed };
  }

  /** Of one label: millilitres now and in the answer, and Dice; null where neither has it. */
  of(label) {
    let [ml, before, own, theirs, both] = [0, 0, 0, 0, 0];
    this.slices.forEach((slice, k) => {
      ml += slice.own[label] * this.ml[k];
      before += slice.theirs[label] * this.ml[k];
      own += slice.own[label];
      theirs += slice.theirs[label];
      both += slice.both[label];
    });
    return { ml, before, dice: own + theirs ? (2 * both) / (own + theirs) : null };
  }

  shows(label, k) {
    return this.slices[k].own[label] > 0;
  }

  get changedSlices() {
    return this.slices.flatMap((slice, k) => (slice.changed ? [k] : []));
  }
}
