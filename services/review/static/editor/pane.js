// The picture that is drawn on: the viewer's pane with the mask, the answer and what changed laid over it.
import { Pane } from "../../viewer/pane.js";
import { outlines } from "../../viewer/outline.js";
import { pixelOf } from "../../viewer/geometry.js";

const ADDED = "#45d6c8";
const REMOVED = "#ff7ac1";
const OTHER = "#ffd75e";
const FILL = 0.34;

function rgba(colour, alpha) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return ((Math.round(alpha * 255) << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** Lines across a small square: one way, the other, or both. */
function hatch(context, colour, ways) {
  const square = document.createElement("canvas");
  square.width = square.height = 8;
  const on = square.getContext("2d");
  on.fillStyle = `${colour}40`;
  on.fillRect(0, 0, 8, 8);
  on.strokeStyle = colour;
  on.lineWidth = 1.6;
  for (const way of ways) {
    for (const shift of [-8, 0, 8]) {
      on.beginPath();
      on.moveTo(shift, way > 0 ? 8 : 0);
      on.lineTo(shift + 8, way > 0 ? 0 : 8);
      on.stroke();
    }
  }
  return context.createPattern(square, "repeat");
}

/** Which pixels were added, removed or given another label, as paths of row runs in pixel units. */
export function differences(marks, reference, width) {
  const paths = { added: new Path2D(), removed: new Path2D(), other: new Path2D() };
  const counts = { added: 0, removed: 0, other: 0 };
  const kind = (i) => (marks[i] === reference[i] ? null : !reference[i] ? "added" : !marks[i] ? "removed" : "other");
  for (let start = 0; start < marks.length; start += width) {
    let from = 0;
    let open = null;
    for (let x = 0; x <= width; x += 1) {
      const now = x < width ? kind(start + x) : null;
      if (now === open) continue;
      if (open) {
        paths[open].rect(from - 0.5, start / width - 0.5, x - from, 1);
        counts[open] += x - from;
      }
      [open, from] = [now, x];
    }
  }
  return { paths, counts };
}

export class EditPane extends Pane {
  constructor(element) {
    super(element);
    this.film = null;
    this.patterns = null;
  }

  /**
   * Draw the slice with its layers.
   * `layers`: marks (Uint8Array), colours (Map of the shown labels), touched ("all", a box or null), isFilled, isOutlined,
   * reference (Uint8Array or null), showsReference, showsDifference, trail (points of an open polygon), pins.
   */
  draw({ layers, ...options }) {
    super.draw({ ...options, colours: layers.colours, overlay: "off" });
    if (!this.plane || !this.canvas.width) return;
    const { context } = this;
    const [sx, sy, dx, dy] = this.placing;
    const matrix = new DOMMatrix([sx, 0, 0, sy, dx + sx / 2, dy + sy / 2]);
    if (layers.showsDifference && layers.reference) this.#drawDifference(layers, matrix);
    else {
      if (layers.isFilled) this.#drawFilm(layers, [sx, sy, dx, dy]);
      if (layers.isOutlined) this.#drawPaths(outlines(layers.marks, this.plane.width, this.plane.height), layers.colours, matrix, []);
    }
    if (layers.showsReference && layers.reference) {
      this.#drawPaths(outlines(layers.reference, this.plane.width, this.plane.height), null, matrix, [5, 4]);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (layers.trail?.length) this.#drawTrail(layers.trail, layers.trailColour, matrix);
    for (const pin of layers.pins ?? []) this.#drawPin(pin);
  }

  #drawFilm({ marks, colours, touched }, [sx, sy, dx, dy]) {
    const { width, height } = this.plane;
    if (this.film?.width !== width || this.film?.height !== height) {
      this.film = new ImageData(width, height);
      this.cover.width = width;
      this.cover.height = height;
      touched = "all";
    }
    if (touched) {
      const [left, top, right, bottom] = touched === "all" ? [0, 0, width - 1, height - 1] : touched;
      const table = new Uint32Array(256);
      for (const [label, colour] of colours) table[label] = rgba(colour, FILL);
      const pixels = new Uint32Array(this.film.data.buffer);
      for (let y = top; y <= bottom; y += 1) for (let i = y * width + left; i <= y * width + right; i += 1) pixels[i] = table[marks[i]];
      this.cover.getContext("2d").putImageData(this.film, 0, 0, left, top, right - left + 1, bottom - top + 1);
    }
    const { context } = this;
    context.setTransform(sx, 0, 0, sy, dx, dy);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.cover, 0, 0);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  #drawPaths(paths, colours, matrix, dash) {
    const { context } = this;
    const unit = Math.min(2, devicePixelRatio || 1);
    context.setTransform(1, 0, 0, 1, 0, 0);
    for (const [label, path] of paths) {
      if (colours && !colours.has(label)) continue;
      const placed = new Path2D();
      placed.addPath(path, matrix);
      context.setLineDash(dash.map((length) => length * unit));
      context.lineWidth = 1.6 * unit;
      context.strokeStyle = colours ? colours.get(label) : "#ffffff";
      context.stroke(placed);
    }
    context.setLineDash([]);
  }

  #drawDifference({ marks, reference }, matrix) {
    const { context } = this;
    this.patterns ??= { added: hatch(context, ADDED, [1]), removed: hatch(context, REMOVED, [-1]), other: hatch(context, OTHER, [1, -1]) };
    const { paths } = differences(marks, reference, this.plane.width);
    context.setTransform(1, 0, 0, 1, 0, 0);
    for (const [kind, path] of Object.entries(paths)) {
      const placed = new Path2D();
      placed.addPath(path, matrix);
      context.fillStyle = this.patterns[kind];
      context.fill(placed);
    }
    this.#drawPaths(outlines(reference, this.plane.width, this.plane.height), null, matrix, [5, 4]);
  }

  #drawTrail(points, colour, matrix) {
    const { context } = this;
    context.beginPath();
    points.forEach(([x, y], n) => {
      const at = new DOMPoint(x, y).matrixTransform(matrix);
      if (n) context.lineTo(at.x, at.y);
      else context.moveTo(at.x, at.y);
    });
    context.lineWidth = 2 * Math.min(2, devicePixelRatio || 1);
    context.strokeStyle = colour;
    context.stroke();
  }

  #drawPin({ point, isDoubtful, number }) {
    const { context } = this;
    const unit = Math.min(2, devicePixelRatio || 1);
    const [sx, sy, dx, dy] = this.placing;
    const [px, py] = pixelOf(this.plane, point);
    const [x, y] = [(px + 0.5) * sx + dx, (py + 0.5) * sy + dy];
    context.beginPath();
    context.arc(x, y - 13 * unit, 9 * unit, 0.15 * Math.PI + Math.PI / 2, 1.85 * Math.PI + Math.PI / 2);
    context.lineTo(x, y);
    context.closePath();
    context.fillStyle = isDoubtful ? "#f2b84b" : "#8fb8e0";
    context.fill();
    context.fillStyle = "#0b0d10";
    context.font = `600 ${11 * unit}px sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(String(number), x, y - 13 * unit);
  }

  /** Column and row under a place of the element, in CSS pixels; fractions count. */
  pixelAt(x, y) {
    return pixelOf(this.plane, this.pointAt(x, y));
  }
}
