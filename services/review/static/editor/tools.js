// What the pointer does to the mask.
import { _ } from "../../i18n.js";
import { fillBetween } from "./between.js";
import { around, connected, spread, touchesEdge } from "./regions.js";
import { disc, polygon, sphere, stroke } from "./shapes.js";

const CLOSE_PX = 8;
const LARGEST_REGION = 400000; // voxels that one click may mark
const GROW_SD = 2.5;

export class Tools {
  constructor(desk) {
    Object.assign(this, { desk, tool: "brush", sizeMm: 6, is3d: false, label: 0, isReadOnly: false });
    this.limit = { isOn: false, low: -Infinity, high: Infinity };
    this.reset();
  }

  reset() {
    Object.assign(this, { from: null, isErasing: false });
    this.desk.trail = [];
  }

  /** Whether the limit lets a voxel be marked. */
  allows(index) {
    if (!this.limit.isOn) return true;
    const value = this.value(index);
    return value >= this.limit.low && value <= this.limit.high;
  }

  value(index) {
    const { greys, voxels } = this.desk;
    return voxels[index] * greys.slope + greys.intercept;
  }

  // ---- the pointer, in pixels of the slice ----

  press([x, y], { isErasing, isFine }) {
    const { desk } = this;
    this.isErasing = isErasing || this.tool === "eraser";
    if (this.tool === "polygon") return this.#pressPolygon([x, y]);
    if (this.tool === "fill") return this.#fill([x, y]);
    if (this.tool === "grow") return this.#grow([x, y]);
    desk.mask.begin();
    this.from = [x, y];
    this.#paint(null, [x, y]);
    if (isFine) this.from = null;
    desk.request();
    return null;
  }

  drag(points) {
    const { desk } = this;
    if (this.tool === "polygon") {
      if (desk.trail.length && this.isLasso !== false) {
        this.isLasso = true;
        desk.trail.push(...points);
        desk.request();
      }
      return;
    }
    if (!this.from) return;
    for (const point of points) {
      this.#paint(this.from, point);
      this.from = point;
    }
    desk.request();
  }

  /** The pointer is lifted; true when the mask changed. */
  release() {
    if (this.tool === "polygon") {
      if (this.isLasso && this.desk.trail.length > 8) return this.close();
      this.isLasso = null;
      return false;
    }
    if (!this.from && !this.desk.mask.edit) return false;
    this.from = null;
    return this.desk.mask.end();
  }

  /** Close the open polygon; true when the mask changed. */
  close() {
    const { desk } = this;
    const points = desk.trail;
    desk.trail = [];
    this.isLasso = null;
    const changed = desk.mask.change(() => polygon(points, this.#plane, (x, y) => this.#mark(desk.slice, x, y)));
    desk.request();
    return changed;
  }

  // ---- the tools ----

  get #plane() {
    const { columns, rows, columnStep, rowStep } = this.desk.stack;
    return { width: columns, height: rows, stepX: columnStep, stepY: rowStep };
  }

  #mark(k, x, y) {
    const { mask } = this.desk;
    const index = k * mask.size + y * mask.columns + x;
    if (this.isErasing) mask.set(index, 0);
    else if (this.allows(index)) mask.set(index, this.label);
  }

  #paint(from, to) {
    const { desk } = this;
    const radius = this.sizeMm / 2;
    if (!this.is3d) {
      const visit = (x, y) => this.#mark(desk.slice, x, y);
      if (from) stroke(from, to, radius, this.#plane, visit);
      else disc(to, radius, this.#plane, visit);
      return;
    }
    const { columnStep, rowStep } = desk.stack;
    const length = from ? Math.hypot((to[0] - from[0]) * columnStep, (to[1] - from[1]) * rowStep) : 0;
    const count = Math.max(1, Math.ceil(length / (radius / 2)));
    for (let n = 1; n <= count; n += 1) {
      const at = from ? [0, 1].map((axis) => from[axis] + ((to[axis] - from[axis]) * n) / count) : to;
      for (const [k, middle, within] of sphere(desk.stack, desk.slice, at, radius)) {
        disc(middle, within, this.#plane, (x, y) => this.#mark(k, x, y));
      }
    }
  }

  #pressPolygon(point) {
    const { desk } = this;
    const first = desk.trail[0];
    const [sx] = desk.panes.slice.placing;
    if (first && desk.trail.length > 2 && Math.hypot(first[0] - point[0], first[1] - point[1]) * sx < CLOSE_PX * 2) {
      return { changed: this.close() };
    }
    desk.trail.push(point);
    desk.request();
    return null;
  }

  #index([x, y]) {
    const { mask, slice } = this.desk;
    const [column, row] = [Math.round(x), Math.round(y)];
    if (column < 0 || row < 0 || column >= mask.columns || row >= mask.rows) return -1;
    return slice * mask.size + row * mask.columns + column;
  }

  /** What is enclosed and unmarked takes the label; what is marked takes it whole; with Ctrl it is erased. */
  #fill(point) {
    const { mask } = this.desk;
    const seed = this.#index(point);
    if (seed < 0) return null;
    const own = mask.voxels[seed];
    if (this.isErasing && !own) return { problem: _("There is nothing marked here to erase.") };
    const region = connected(mask, seed, (index) => mask.voxels[index] === own, { is3d: this.is3d, limit: LARGEST_REGION });
    if (!region || (!own && touchesEdge(mask, region))) {
      return { problem: _("This place is not enclosed: close the outline on every slice it should fill, then fill again.") };
    }
    return { changed: mask.change(() => region.forEach((index) => mask.set(index, this.isErasing ? 0 : this.label))) };
  }

  /** From a seed to all connected voxels of its intensity: the limit's when it is on, else the seed's surroundings'. */
  #grow(point) {
    const { desk } = this;
    const { mask, voxels, greys } = desk;
    const seed = this.#index(point);
    if (seed < 0) return null;
    let { low, high } = this.limit;
    if (!this.limit.isOn) {
      const near = around(mask, seed);
      const { mean, sd } = spread(voxels, near);
      const reach = Math.max(sd * GROW_SD, Math.abs(mean) * 0.05, 1);
      [low, high] = [(mean - reach) * greys.slope + greys.intercept, (mean + reach) * greys.slope + greys.intercept];
    }
    const belongs = (index) => {
      const value = this.value(index);
      return value >= low && value <= high && (this.isErasing ? mask.voxels[index] !== 0 : true);
    };
    const region = connected(mask, seed, belongs, { is3d: this.is3d, limit: LARGEST_REGION });
    const range = { low: Math.round(low), high: Math.round(high) };
    if (!region) return { problem: _("What is connected from %(low)s to %(high)s is more than one click may mark. Narrow the range.", range) };
    if (!region.length) return { problem: _("This place is outside the range %(low)s to %(high)s.", range) };
    return { changed: mask.change(() => region.forEach((index) => mask.set(index, this.isErasing ? 0 : this.label))) };
  }

  /** Fill the slices between those that show the label. */
  between() {
    const { mask, stack } = this.desk;
    let pairs = [];
    const changed = mask.change(() => {
      pairs = fillBetween(mask, stack, this.label, (index) => {
        if (mask.voxels[index] === 0 && this.allows(index)) mask.set(index, this.label);
      });
    });
    if (!pairs.length) return { problem: _("No slice is empty between two that show this label.") };
    return { changed };
  }

  /**
   * Keep of the label what lies at or below a threshold, and take in what touches it there, within a margin in its slice.
   * `values`: of the map (ADC) on the same voxels; on this slice, or on all with 3D.
   */
  snap(values, { slope, intercept }, threshold, marginMm = 4) {
    const { mask, stack, slice } = this.desk;
    const low = (index) => values[index] * slope + intercept <= threshold && values[index] * slope + intercept > 0;
    const slices = this.is3d ? Array.from({ length: mask.slices }, (_, k) => k) : [slice];
    let seen = 0;
    const changed = mask.change(() => {
      for (const k of slices) {
        const reached = new Set();
        mask.slice(k).forEach((value, i) => {
          if (value !== this.label) return;
          seen += 1;
          disc([i % mask.columns, Math.floor(i / mask.columns)], marginMm, this.#plane, (x, y) => reached.add(k * mask.size + y * mask.columns + x));
        });
        for (const index of reached) {
          const own = mask.voxels[index];
          if (low(index) && own === 0) mask.set(index, this.label);
          else if (!low(index) && own === this.label) mask.set(index, 0);
        }
      }
    });
    if (!seen) return { problem: this.is3d ? _("Nothing of this label is marked yet: mark it roughly first.") : _("Nothing of this label is marked on this slice: mark it roughly first.") };
    return { changed };
  }
}
