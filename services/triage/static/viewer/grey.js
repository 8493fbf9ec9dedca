// From voxel values to grey on the screen.
import { _ } from "../i18n.js";
import { OUTSIDE } from "./sample.js";

export const PRESETS = {
  1: { name: _("Brain"), width: 80, level: 40 },
  2: { name: _("Subdural"), width: 200, level: 80 },
  3: { name: _("Stroke"), width: 40, level: 40 },
  4: { name: _("Bone"), width: 2800, level: 600 },
};

/** A grey for each of the 65536 stored values under a window. */
export class Greys {
  constructor({ slope, intercept }) {
    Object.assign(this, { slope, intercept, table: new Uint32Array(65536), version: 0 });
  }

  set({ width, level, inverted }) {
    this.version += 1;
    const low = level - width / 2;
    const factor = 255 / Math.max(width, 1e-9);
    for (let stored = -32768; stored < 32768; stored += 1) {
      const value = stored * this.slope + this.intercept;
      let grey = ((value - low) * factor) | 0;
      grey = grey < 0 ? 0 : grey > 255 ? 255 : grey;
      if (inverted) grey = 255 - grey;
      this.table[stored & 0xffff] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    if (this.slope === 1 && this.intercept === 0) this.table[OUTSIDE & 0xffff] = 0xff000000; // no voxel, no white when inverted
  }

  /** Write values (Int16Array) as pixels (Uint32Array). */
  paint(values, pixels) {
    const table = this.table;
    for (let i = 0; i < values.length; i += 1) pixels[i] = table[values[i] & 0xffff];
  }
}
