// What is on the drawing table: the slice, the mask on it, and beside it the other planes, the other sequences or the answer.
import { _ } from "../../i18n.js";
import { Pane } from "../../viewer/pane.js";
import { Greys } from "../../viewer/grey.js";
import { resample, sliceValues } from "../../viewer/sample.js";
import { planeName, pointOn } from "../../viewer/geometry.js";
import { View } from "../../viewer/state.js";

export class Desk extends View {
  /** `panes`: slice (EditPane), along, across, answer (EditPane); `sequences`: those shown beside it. */
  constructor(panes, images, start, labels) {
    super(panes, images, start);
    Object.assign(this, { mask: labels, reference: null, sequences: [], beside: "planes", hiddenLabels: new Set(), pins: [] });
    Object.assign(this, { isFilled: true, showsReference: false, showsDifference: false, hover: null, trail: [], palette: new Map() });
    Object.assign(this, { filmed: null, overlay: "fill", kept: new WeakMap() });
  }

  setPalette(palette) {
    this.palette = palette;
    this.restyle();
  }

  /** Everything over the image is drawn anew: colours, hidden labels or the whole mask changed. */
  restyle() {
    this.filmed = null;
    this.upright = null;
    this.labels = this.mask.bySlice;
    this.request();
  }

  addSequence({ element, name, voxels, geometry }) {
    const pane = new Pane(element);
    const greys = new Greys(geometry);
    const sequence = { pane, greys, voxels, name, element, geometry };
    pane.onresize = () => this.request();
    this.sequences.push(sequence);
    this.#setWindow(sequence, geometry.window);
  }

  /** What the pointer moves on another sequence: the slice of all, the window of its own. */
  viewOf(sequence) {
    const desk = this;
    const unit = sequence.geometry.window[0] / 200;
    return {
      stack: this.stack,
      get slice() {
        return desk.slice;
      },
      goTo: (slice, point) => this.goTo(slice, point),
      request: () => this.request(),
      changeWindow: (wider, higher) => {
        const [width, level] = sequence.window;
        this.#setWindow(sequence, [Math.max(unit, width + wider * unit), level + higher * unit]);
      },
    };
  }

  #setWindow(sequence, [width, level]) {
    sequence.window = [width, level];
    sequence.greys.set({ width, level, inverted: false });
    this.request();
  }

  get colours() {
    return new Map([...this.palette].filter(([label]) => !this.hiddenLabels.has(label)));
  }

  set colours(colours) {
    this.palette = colours;
  }

  /** A stroke ended, or the mask moved in time: the other planes show it too. */
  settle() {
    this.upright = null;
    this.request();
  }

  draw() {
    const started = performance.now();
    const { stack, voxels, panes, slice, mask } = this;
    const plane = stack.slicePlane(slice);
    const box = mask.takeChanged().get(slice) ?? null;
    const touched = this.filmed === slice ? box : "all";
    this.filmed = slice;
    panes.slice.show(plane, this.#values(voxels), null);
    const reference = this.reference?.subarray(slice * mask.size, (slice + 1) * mask.size) ?? null;
    const colours = this.isHidden ? new Map() : this.colours;
    const common = { greys: this.greys, planes: [], point: null };
    const showsPlanes = this.beside === "planes" && panes.along.element.offsetParent !== null;
    if (showsPlanes && !this.upright) this.#cutUpright();
    panes.slice.draw({
      ...common,
      planes: showsPlanes ? this.upright : [],
      layers: {
        marks: mask.slice(slice), colours, touched, reference,
        isFilled: !this.isHidden && this.isFilled, isOutlined: !this.isHidden,
        showsReference: this.showsReference, showsDifference: this.showsDifference && !this.isHidden,
        trail: this.trail, trailColour: this.trailColour ?? "#fff",
        pins: this.pins.filter((pin) => pin.slice === slice).map((pin) => ({ ...pin, point: pointOn(plane, pin.column, pin.row) })),
      },
    });
    // While a stroke is drawn, what stands beside it does not change: the pointer gets the time.
    if (!mask.edit || slice !== this.besideSlice) {
      if (showsPlanes) this.#drawUpright(plane, colours);
      else this.#drawLinked(plane, reference, common);
      this.besideSlice = slice;
    }
    this.#say(plane);
    this.lastDrawMs = performance.now() - started;
    this.ondraw?.();
  }

  /** This slice of a series; the same array as long as it is the same slice, so that its greys are painted once. */
  #values(voxels) {
    const kept = this.kept.get(voxels);
    if (kept?.slice === this.slice) return kept.values;
    const values = sliceValues(this.stack, voxels, this.slice);
    this.kept.set(voxels, { slice: this.slice, values });
    return values;
  }

  #cutUpright() {
    const { clientWidth, clientHeight } = this.panes.along.element;
    this.upright = this.stack.reformatPlanes(this.point, Math.max(clientWidth, clientHeight) * Math.min(2, devicePixelRatio || 1));
    for (const [n, name] of ["along", "across"].entries()) {
      const { values, marks } = resample(this.stack, this.voxels, this.upright[n], this.mask.bySlice);
      this.panes[name].show(this.upright[n], values, marks);
    }
  }

  #drawUpright(plane, colours) {
    const [along, across] = this.upright;
    const common = { greys: this.greys, colours, overlay: this.isHidden ? "off" : "fill", point: null };
    this.panes.along.draw({ ...common, planes: [plane, across] });
    this.panes.across.draw({ ...common, planes: [plane, along] });
    for (const [name, upright] of [["along", along], ["across", across]]) {
      const text = planeName(upright.normal);
      if (this.panes[name].parts.name.textContent !== text) this.panes[name].parts.name.textContent = text;
    }
  }

  /** The same slice of the other sequences, or of the answer, moved and zoomed with this one. */
  #drawLinked(plane, reference, common) {
    const { panes } = this;
    const follow = (pane) => {
      const shrink = Math.min(pane.element.clientWidth / panes.slice.element.clientWidth, pane.element.clientHeight / panes.slice.element.clientHeight);
      Object.assign(pane, { zoom: panes.slice.zoom, pan: panes.slice.pan.map((way) => way * shrink) });
    };
    if (this.beside === "answer" && reference) {
      follow(panes.answer);
      panes.answer.show(plane, this.#values(this.voxels), null);
      panes.answer.draw({
        ...common, point: this.hover,
        layers: { marks: reference, colours: this.colours, touched: "all", isFilled: this.isFilled, isOutlined: true, pins: [] },
      });
    }
    if (this.beside !== "sequences") return;
    for (const { pane, greys, voxels } of this.sequences) {
      follow(pane);
      pane.show(plane, this.#values(voxels), null);
      pane.draw({ greys, colours: new Map(), overlay: "off", planes: [], point: this.hover });
    }
  }

  #say(plane) {
    const { parts } = this.panes.slice;
    const write = (part, text) => {
      if (parts[part].textContent !== text) parts[part].textContent = text;
    };
    write("name", planeName(plane.normal));
    write("slice", _("Slice %(number)s/%(slices)s", { number: this.slice + 1, slices: this.stack.slices }));
    const { name, width, level } = this.window;
    const digits = this.isCt || width > 50 ? 0 : 2;
    write("window", `${name ? `${name} · ` : ""}W ${width.toFixed(digits)} L ${level.toFixed(digits)}${this.isInverted ? ` · ${_("inverted")}` : ""}`);
  }
}
