// Where voxels are in the patient: LPS, millimetres. One position a slice, so tilt and uneven steps stay exact.
import { _ } from "../i18n.js";

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const scaled = (a, factor) => [a[0] * factor, a[1] * factor, a[2] * factor];
export const sum = (...vectors) => vectors.reduce((a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
export const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const unit = (a) => scaled(a, 1 / Math.hypot(...a));

const LETTERS = [["L", "R"], ["P", "A"], ["S", "I"]];
const NAMES = [_("Sagittal"), _("Coronal"), _("Axial")];
const SCREEN_SIGN = [1, 1, -1]; // to the right: left, posterior; downwards: posterior, inferior

/** Which of the patient's axes a direction follows most: 0 right-left, 1 front-back, 2 feet-head. */
export function mainAxis(direction) {
  const size = direction.map(Math.abs);
  return size.indexOf(Math.max(...size));
}

/** Orientation letters of a direction, the strongest first; a second one when it leans by more than 20 degrees. */
export function letters(direction) {
  return [0, 1, 2]
    .filter((axis) => Math.abs(direction[axis]) > 0.35)
    .sort((a, b) => Math.abs(direction[b]) - Math.abs(direction[a]))
    .slice(0, 2)
    .map((axis) => LETTERS[axis][direction[axis] > 0 ? 0 : 1])
    .join("");
}

/** "Axial", "Coronal" or "Sagittal", by what a plane's normal follows most. */
export const planeName = (normal) => NAMES[mainAxis(normal)];

const asOnScreen = (direction) => scaled(direction, Math.sign(direction[mainAxis(direction)]) * SCREEN_SIGN[mainAxis(direction)]);

/** A plane to draw: pixel (x, y) has its centre at origin + x * stepX * right + y * stepY * down. */
export function plane({ origin, right, down, stepX, stepY, width, height }) {
  return { origin, right, down, stepX, stepY, width, height, normal: cross(right, down) };
}

export const pointOn = (p, x, y) => sum(p.origin, scaled(p.right, x * p.stepX), scaled(p.down, y * p.stepY));

export function pixelOf(p, point) {
  const from = minus(point, p.origin);
  return [dot(from, p.right) / p.stepX, dot(from, p.down) / p.stepY];
}

/** The slices of a series as the server describes them. */
export class Stack {
  constructor({ slices, rows, columns, positions_mm, row_direction, column_direction, spacing_mm }) {
    Object.assign(this, { slices, rows, columns, positions: positions_mm, row: row_direction, column: column_direction });
    [this.rowStep, this.columnStep] = spacing_mm;
    this.normal = unit(cross(this.row, this.column));
    this.offsets = this.positions.map((position) => dot(position, this.normal));
    const gap = (k) => this.offsets[k + 1] - this.offsets[k];
    this.firstHalf = slices > 1 ? gap(0) / 2 : 0.5;
    this.lastHalf = slices > 1 ? gap(slices - 2) / 2 : 0.5;
    // The way the table went, made perpendicular to the rows: with it, the reformatted planes are upright in a tilted gantry.
    const way = slices > 1 ? minus(this.positions[slices - 1], this.positions[0]) : this.normal;
    this.way = unit(minus(way, scaled(this.row, dot(way, this.row))));
    this.across = cross(this.way, this.row);
  }

  get centre() {
    const middle = this.positions[Math.floor(this.slices / 2)];
    return sum(middle, scaled(this.row, ((this.columns - 1) / 2) * this.columnStep), scaled(this.column, ((this.rows - 1) / 2) * this.rowStep));
  }

  nearestSlice(point) {
    const offset = dot(point, this.normal);
    let best = 0;
    for (let k = 1; k < this.slices; k += 1) {
      if (Math.abs(this.offsets[k] - offset) < Math.abs(this.offsets[best] - offset)) best = k;
    }
    return best;
  }

  /** A point moved onto a slice along the way of the table, so that the upright planes through it stay what they are. */
  onSlice(point, k) {
    return sum(point, scaled(this.way, (this.offsets[k] - dot(point, this.normal)) / dot(this.way, this.normal)));
  }

  slicePlane(k) {
    return plane({
      origin: this.positions[k], right: this.row, down: this.column,
      stepX: this.columnStep, stepY: this.rowStep, width: this.columns, height: this.rows,
    });
  }

  /** The two upright planes through a point, one along the rows, one across them, with at most so many pixels a side. */
  reformatPlanes(point, pixels = 512) {
    return [this.#upright(this.row, point, pixels), this.#upright(this.across, point, pixels)];
  }

  #upright(along, point, pixels) {
    let [right, down] = [asOnScreen(along), asOnScreen(this.way)];
    // Slices cut lengthways advance sideways: then the way is the horizontal.
    if (mainAxis(this.way) !== 2 && mainAxis(along) === 2) [right, down] = [down, right];
    const normal = cross(right, down);
    const [left, width] = this.#extent(right);
    const [top, height] = this.#extent(down);
    const step = Math.max(Math.min(this.rowStep, this.columnStep), Math.max(width, height) / pixels);
    const origin = sum(scaled(right, left), scaled(down, top), scaled(normal, dot(point, normal)));
    return plane({
      origin, right, down, stepX: step, stepY: step,
      width: Math.max(1, Math.round(width / step) + 1), height: Math.max(1, Math.round(height / step) + 1),
    });
  }

  /** Where the voxels begin along a direction, and how far they reach. */
  #extent(direction) {
    const ends = [[0, -this.firstHalf], [this.slices - 1, this.lastHalf]];
    const places = this.positions.flatMap((position, k) =>
      [0, this.columns - 1].flatMap((x) =>
        [0, this.rows - 1].flatMap((y) => {
          const corner = sum(position, scaled(this.row, x * this.columnStep), scaled(this.column, y * this.rowStep));
          const beyond = ends.filter(([end]) => end === k).map(([, half]) => sum(corner, scaled(this.normal, half)));
          return [corner, ...beyond].map((at) => dot(at, direction));
        }),
      ),
    );
    const first = Math.min(...places);
    return [first, Math.max(...places) - first];
  }
}
