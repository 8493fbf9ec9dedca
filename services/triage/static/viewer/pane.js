// One picture on the page: a plane's values as grey, labels over them, lines of the other planes, and what stands in its corners.
import { dot, letters, pixelOf, pointOn, scaled } from "./geometry.js";
import { fill, outlines } from "./outline.js";

const BAR_MM = [100, 50, 20, 10, 5, 2, 1];

export class Pane {
  constructor(element) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.picture = document.createElement("canvas");
    this.cover = document.createElement("canvas");
    this.parts = Object.fromEntries([...element.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.zoom = 1;
    this.pan = [0, 0];
    new ResizeObserver(() => this.onresize?.()).observe(element);
  }

  /** Show a plane: values (Int16Array) and marks (Uint8Array or null), both height * width. */
  show(plane, values, marks) {
    const changed = this.marks !== marks || this.plane?.width !== plane.width || this.plane?.height !== plane.height;
    Object.assign(this, { plane, values, marks });
    if (changed) this.paths = marks ? outlines(marks, plane.width, plane.height) : new Map();
    this.isCovered = false;
    if (this.picture.width !== plane.width || this.picture.height !== plane.height) {
      for (const canvas of [this.picture, this.cover]) Object.assign(canvas, { width: plane.width, height: plane.height });
      this.pixels = new ImageData(plane.width, plane.height);
      this.painted = null;
    }
  }

  reset() {
    this.zoom = 1;
    this.pan = [0, 0];
  }

  zoomBy(factor, at = null) {
    const zoom = Math.min(12, Math.max(1, this.zoom * factor));
    if (at) {
      const middle = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
      const grown = zoom / this.zoom;
      this.pan = this.pan.map((way, axis) => (at[axis] - middle[axis]) * (1 - grown) + way * grown);
    }
    this.zoom = zoom;
    if (zoom === 1) this.pan = [0, 0];
  }

  /** From the plane's pixels to the canvas: [scale x, scale y, shift x, shift y]. */
  get placing() {
    const { plane, canvas } = this;
    const [wide, high] = [plane.width * plane.stepX, plane.height * plane.stepY];
    const perMm = Math.min(canvas.width / wide, canvas.height / high) * this.zoom;
    const ratio = canvas.width / Math.max(1, canvas.clientWidth);
    const shift = [(canvas.width - wide * perMm) / 2 + this.pan[0] * ratio, (canvas.height - high * perMm) / 2 + this.pan[1] * ratio];
    return [perMm * plane.stepX, perMm * plane.stepY, ...shift];
  }

  /** The patient's point under a place of the element, in CSS pixels. */
  pointAt(x, y) {
    const ratio = this.canvas.width / Math.max(1, this.canvas.clientWidth);
    const [sx, sy, dx, dy] = this.placing;
    return pointOn(this.plane, (x * ratio - dx) / sx - 0.5, (y * ratio - dy) / sy - 0.5);
  }

  /** Draw everything. `planes`: the others, whose lines are drawn; `overlay`: outline, fill or off. */
  draw({ greys, colours, overlay, planes, point }) {
    if (!this.plane || !this.#fit()) return;
    const { context, plane } = this;
    if (this.painted !== this.values || this.paintedVersion !== greys.version) {
      greys.paint(this.values, new Uint32Array(this.pixels.data.buffer));
      this.picture.getContext("2d").putImageData(this.pixels, 0, 0);
      Object.assign(this, { painted: this.values, paintedVersion: greys.version });
    }
    const [sx, sy, dx, dy] = this.placing;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(sx, 0, 0, sy, dx, dy);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.picture, 0, 0);
    if (this.marks && overlay === "fill") this.#drawFill(colours);
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (this.marks && overlay === "outline") this.#drawOutlines(colours, new DOMMatrix([sx, 0, 0, sy, dx + sx / 2, dy + sy / 2]));
    for (const other of planes) this.#drawLine(other);
    if (point) this.#drawPoint(point);
    this.#label(sx / plane.stepX);
  }

  #fit() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const width = Math.round(this.element.clientWidth * ratio);
    const height = Math.round(this.element.clientHeight * ratio);
    if (!width || !height) return false;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    return true;
  }

  #drawFill(colours) {
    if (!this.isCovered) {
      const cover = new ImageData(this.plane.width, this.plane.height);
      fill(this.marks, colours, new Uint32Array(cover.data.buffer));
      this.cover.getContext("2d").putImageData(cover, 0, 0);
      this.isCovered = true;
    }
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(this.cover, 0, 0);
  }

  #drawOutlines(colours, matrix) {
    for (const [label, path] of this.paths) {
      const placed = new Path2D();
      placed.addPath(path, matrix);
      this.context.lineWidth = 1.6 * Math.min(2, devicePixelRatio || 1);
      this.context.strokeStyle = colours.get(label) ?? "#fff";
      this.context.stroke(placed);
    }
  }

  /** Where another plane cuts this one. */
  #drawLine(other) {
    const { plane, context } = this;
    const a = dot(plane.right, other.normal) * plane.stepX;
    const b = dot(plane.down, other.normal) * plane.stepY;
    const c = dot(other.origin, other.normal) - dot(plane.origin, other.normal);
    const [w, h] = [plane.width - 0.5, plane.height - 0.5];
    const ends = [];
    const add = (x, y) => {
      if (x >= -0.51 && x <= w + 0.01 && y >= -0.51 && y <= h + 0.01) ends.push([x, y]);
    };
    if (Math.abs(b) > 1e-9) for (const x of [-0.5, w]) add(x, (c - a * x) / b);
    if (Math.abs(a) > 1e-9) for (const y of [-0.5, h]) add((c - b * y) / a, y);
    if (ends.length < 2) return;
    ends.sort((one, two) => one[0] - two[0] || one[1] - two[1]);
    const [from, to] = [this.#onCanvas(ends[0]), this.#onCanvas(ends.at(-1))];
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.lineWidth = 1;
    context.strokeStyle = "rgb(143 184 224 / 0.55)";
    context.stroke();
  }

  #drawPoint(point) {
    const [x, y] = this.#onCanvas(pixelOf(this.plane, point));
    const { context } = this;
    context.lineWidth = 1;
    context.strokeStyle = "rgb(143 184 224 / 0.8)";
    context.beginPath();
    for (const [fromX, fromY, toX, toY] of [[-14, 0, -5, 0], [5, 0, 14, 0], [0, -14, 0, -5], [0, 5, 0, 14]]) {
      context.moveTo(x + fromX, y + fromY);
      context.lineTo(x + toX, y + toY);
    }
    context.stroke();
  }

  #onCanvas([x, y]) {
    const [sx, sy, dx, dy] = this.placing;
    return [(x + 0.5) * sx + dx, (y + 0.5) * sy + dy];
  }

  /** Orientation letters and scale bar, as text beside the canvas. */
  #label(perMm) {
    const { plane, parts } = this;
    const write = (part, text) => {
      if (parts[part] && parts[part].textContent !== text) parts[part].textContent = text;
    };
    write("before", letters(scaled(plane.right, -1)));
    write("after", letters(plane.right));
    write("above", letters(scaled(plane.down, -1)));
    write("below", letters(plane.down));
    if (!parts.bar) return;
    const onScreen = perMm * (this.canvas.clientWidth / this.canvas.width);
    const length = BAR_MM.find((mm) => mm * onScreen <= this.element.clientWidth * 0.3) ?? 1;
    parts.bar.style.width = `${Math.round(length * onScreen)}px`;
    write("bar", `${length / 10} cm`.replace(/^0\.(\d) cm$/, "$1 mm"));
  }
}
