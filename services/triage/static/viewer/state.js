// What the reader looks at: the slice, the point the other planes go through, window, overlay. Draws what changed.
import { _ } from "../i18n.js";
import { planeName } from "./geometry.js";
import { Greys, PRESETS } from "./grey.js";
import { resample, sliceValues } from "./sample.js";

const OVERLAYS = ["outline", "fill", "off"];

/** The labels on a slice, ascending. */
function labelsIn(marks) {
  const seen = new Uint8Array(256);
  for (let i = 0; i < marks.length; i += 1) seen[marks[i]] = 1;
  return [...seen.keys()].filter((label) => label && seen[label]);
}

export class View {
  constructor(panes, { stack, voxels, geometry }, start) {
    Object.assign(this, { panes, stack, voxels, isCt: geometry.is_ct, labels: new Map(), colours: new Map(), present: new Map() });
    const [width, level] = geometry.window;
    this.opening = { width, level, name: geometry.is_ct ? PRESETS[1].name : _("Own") };
    this.greys = new Greys(geometry);
    this.overlay = "outline";
    this.isHidden = false;
    this.isInverted = false;
    this.slice = Math.min(Math.max(0, start), stack.slices - 1);
    this.point = stack.onSlice(stack.centre, this.slice);
    this.upright = null;
    this.setWindow(this.opening);
    for (const pane of Object.values(panes)) pane.onresize = () => this.request();
  }

  // ---- where ----

  goTo(slice, point = null) {
    const wanted = Math.min(Math.max(0, slice), this.stack.slices - 1);
    if (point) this.upright = null;
    this.slice = wanted;
    this.point = this.stack.onSlice(point ?? this.point, wanted);
    this.request();
  }

  goToPoint(point) {
    this.goTo(this.stack.nearestSlice(point), point);
  }

  /** The voxel of a label on a slice that lies nearest to the middle of that label there, as a point; null without any. */
  middleOf(label, slice) {
    const marks = this.labels.get(slice);
    if (!marks) return null;
    const { columns, rowStep, columnStep } = this.stack;
    const found = [];
    for (let i = 0; i < marks.length; i += 1) if (marks[i] === label) found.push([i % columns, Math.floor(i / columns)]);
    if (!found.length) return null;
    const mean = [0, 1].map((axis) => found.reduce((total, place) => total + place[axis], 0) / found.length);
    const away = ([x, y]) => Math.hypot((x - mean[0]) * columnStep, (y - mean[1]) * rowStep);
    const [x, y] = found.reduce((best, place) => (away(place) < away(best) ? place : best));
    const plane = this.stack.slicePlane(slice);
    return plane.origin.map((value, axis) => value + x * columnStep * plane.right[axis] + y * rowStep * plane.down[axis]);
  }

  // ---- how ----

  setLabels(labels, colours) {
    Object.assign(this, { labels, colours, upright: null });
    this.present = new Map([...labels].map(([slice, marks]) => [slice, labelsIn(marks)]));
    this.request();
  }

  setWindow(window) {
    this.window = window;
    this.greys.set({ ...window, inverted: this.isInverted });
    this.request();
  }

  preset(key) {
    if (this.isCt) this.setWindow(PRESETS[key]);
    else if (key === "1") this.setWindow(this.opening);
  }

  changeWindow(wider, higher) {
    const unit = this.isCt ? 1 : this.opening.width / 200;
    const width = Math.max(unit, this.window.width + wider * unit);
    this.setWindow({ width, level: this.window.level + higher * unit, name: "" });
  }

  invert() {
    this.isInverted = !this.isInverted;
    this.setWindow(this.window);
  }

  nextOverlay() {
    this.overlay = OVERLAYS[(OVERLAYS.indexOf(this.overlay) + 1) % OVERLAYS.length];
    this.request();
  }

  hide(isHidden) {
    if (this.isHidden === isHidden) return;
    this.isHidden = isHidden;
    this.request();
  }

  reset() {
    for (const pane of Object.values(this.panes)) pane.reset();
    this.isInverted = false;
    this.setWindow(this.opening);
  }

  // ---- drawing ----

  request() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    const { stack, voxels, labels, panes, slice } = this;
    const plane = stack.slicePlane(slice);
    panes.slice.show(plane, sliceValues(stack, voxels, slice), labels.get(slice) ?? null);
    const showsBeside = panes.along.element.offsetParent !== null;
    if (showsBeside && !this.upright) {
      const { clientWidth, clientHeight } = panes.along.element;
      this.upright = stack.reformatPlanes(this.point, Math.max(clientWidth, clientHeight) * Math.min(2, devicePixelRatio || 1));
      for (const [n, name] of ["along", "across"].entries()) {
        const { values, marks } = resample(stack, voxels, this.upright[n], labels);
        panes[name].show(this.upright[n], values, marks);
      }
    }
    const common = { greys: this.greys, colours: this.colours, overlay: this.isHidden ? "off" : this.overlay };
    const [along, across] = this.upright ?? [];
    panes.slice.draw({ ...common, planes: showsBeside ? [along, across] : [], point: null });
    if (showsBeside) {
      panes.along.draw({ ...common, planes: [plane, across], point: null });
      panes.across.draw({ ...common, planes: [plane, along], point: null });
    }
    this.#name({ slice: plane, along, across });
    this.ondraw?.();
  }

  #name(planes) {
    for (const [name, plane] of Object.entries(planes)) {
      const text = plane && planeName(plane.normal);
      const { parts, canvas } = this.panes[name];
      if (!text || parts.name.textContent === text) continue;
      parts.name.textContent = text;
      canvas.setAttribute("aria-label", text);
    }
    const { slice, window: parts } = this.panes.slice.parts;
    slice.textContent = _("Slice %(number)s/%(slices)s", { number: this.slice + 1, slices: this.stack.slices });
    const digits = this.isCt || this.window.width > 50 ? 0 : 2;
    const { name, width, level } = this.window;
    parts.textContent = `${name ? `${name} · ` : ""}W ${width.toFixed(digits)} L ${level.toFixed(digits)}${this.isInverted ? ` · ${_("inverted")}` : ""}`;
  }
}
