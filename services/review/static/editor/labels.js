// The mask being drawn: one label a voxel. Every change goes through an edit, so that it can be undone, counted and redrawn.

/** A group of changes that is undone as one. */
class Edit {
  constructor() {
    Object.assign(this, { indices: [], before: [], after: [] });
  }

  get isEmpty() {
    return this.indices.length === 0;
  }
}

export class Labels {
  /** `voxels`: Uint8Array (slices * rows * columns); kept and changed. */
  constructor({ slices, rows, columns }, voxels = new Uint8Array(slices * rows * columns)) {
    Object.assign(this, { slices, rows, columns, voxels, size: rows * columns });
    this.locked = new Set();
    this.past = [];
    this.future = [];
    this.edit = null;
    this.version = 0;
    this.changed = new Map(); // by slice: the box that was touched since somebody last asked
  }

  slice(k) {
    return this.voxels.subarray(k * this.size, (k + 1) * this.size);
  }

  /** The slices as the resampler takes them. */
  get bySlice() {
    return new Map(Array.from({ length: this.slices }, (_, k) => [k, this.slice(k)]));
  }

  begin() {
    this.edit ??= new Edit();
  }

  /** Give a voxel a label, unless the label it has is locked. */
  set(index, value) {
    const current = this.voxels[index];
    if (current === value || (current && this.locked.has(current))) return;
    this.edit.indices.push(index);
    this.edit.before.push(current);
    this.edit.after.push(value);
    this.voxels[index] = value;
    this.#touch(index);
  }

  /** End the group of changes; true when there were any. */
  end() {
    const { edit } = this;
    this.edit = null;
    if (!edit || edit.isEmpty) return false;
    this.past.push(edit);
    if (this.past.length > 200) this.past.shift();
    this.future = [];
    this.version += 1;
    return true;
  }

  /** Do something as one edit; true when it changed anything. */
  change(work) {
    this.begin();
    work();
    return this.end();
  }

  undo() {
    return this.#travel(this.past, this.future, (edit) => [edit.before, -1]);
  }

  redo() {
    return this.#travel(this.future, this.past, (edit) => [edit.after, 1]);
  }

  /** Slices touched since the last call, each with its box [left, top, right, bottom]. */
  takeChanged() {
    const changed = this.changed;
    this.changed = new Map();
    return changed;
  }

  #travel(from, to, which) {
    if (this.edit) this.end();
    const edit = from.pop();
    if (!edit) return null;
    const [values, step] = which(edit);
    const count = edit.indices.length;
    for (let n = step > 0 ? 0 : count - 1; n >= 0 && n < count; n += step) {
      this.voxels[edit.indices[n]] = values[n];
      this.#touch(edit.indices[n]);
    }
    to.push(edit);
    this.version += 1;
    return Math.floor(edit.indices[0] / this.size);
  }

  #touch(index) {
    const k = Math.floor(index / this.size);
    const y = Math.floor((index - k * this.size) / this.columns);
    const x = index - k * this.size - y * this.columns;
    const box = this.changed.get(k);
    if (!box) this.changed.set(k, [x, y, x, y]);
    else {
      if (x < box[0]) box[0] = x;
      if (y < box[1]) box[1] = y;
      if (x > box[2]) box[2] = x;
      if (y > box[3]) box[3] = y;
    }
  }
}
