// What somebody drawing may want to look at again. Hints, never blocks.
import { _, ngettext } from "../../i18n.js";
import { gaps } from "./between.js";
import { connected } from "./regions.js";

/** Components of the voxels whose label `belongs(label)`, each a list of voxels. */
export function components(labels, belongs) {
  const seen = new Uint8Array(labels.voxels.length);
  const found = [];
  for (let k = 0; k < labels.slices; k += 1) {
    if (!labels.slice(k).some(belongs)) continue;
    for (let i = k * labels.size; i < (k + 1) * labels.size; i += 1) {
      if (!belongs(labels.voxels[i]) || seen[i]) continue;
      const component = connected(labels, i, (index) => belongs(labels.voxels[index]), { is3d: true });
      for (const index of component) seen[index] = 1;
      found.push(component);
    }
  }
  return found;
}

/** Whether more lesions are marked than the task asks for: what touches is one lesion, whatever its labels. */
export function lesionsHint(labels, { most, smallest = 1 }) {
  const lesions = components(labels, (label) => label > 0).filter((each) => each.length >= smallest);
  if (lesions.length <= most) return [];
  lesions.sort((one, other) => other.length - one.length);
  const slice = Math.floor(lesions[most][0] / labels.size);
  return [{ text: _("%(count)s lesions are marked, this task has the %(most)s largest. Name the others in a comment", { count: lesions.length, most }), slice }];
}

/**
 * Hints of one label: {text, slice} each.
 * `limits`: smallest (voxels), or 0; `inside`: tells of a voxel whether it may hold the label, with the name of where that is;
 * `above`: tells of a voxel whether its value is too high; both with `say(values)`, the hint in words.
 */
export function hintsOf(labels, { value, name }, { smallest = 0, outside = null, above = null }) {
  const hints = [];
  const { size, slices, voxels } = labels;
  const where = (index) => Math.floor(index / size);
  const small = smallest ? components(labels, (label) => label === value).filter((each) => each.length < smallest) : [];
  for (const each of small.slice(0, 3)) {
    hints.push({ text: ngettext("%(label)s: %(num)s voxel by itself on slice %(slice)s", "%(label)s: %(num)s voxels by themselves on slice %(slice)s", each.length, { label: name, slice: where(each[0]) + 1 }), slice: where(each[0]) });
  }
  if (small.length > 3) hints.push({ text: _("%(label)s: %(count)s more components smaller than %(smallest)s voxels", { label: name, count: small.length - 3, smallest }), slice: where(small[3][0]) });
  for (const [below, up] of gaps(slices, (k) => labels.slice(k).includes(value))) {
    const values = { label: name, first: below + 2, last: up };
    const text = up - below === 2 ? _("%(label)s: slice %(first)s between two marked ones is empty", values) : _("%(label)s: slices %(first)s to %(last)s between two marked ones are empty", values);
    hints.push({ text, slice: below + 1, isGap: true });
  }
  for (const check of [outside, above]) {
    if (!check) continue;
    let [count, worst, most] = [0, 0, 0];
    for (let k = 0; k < slices; k += 1) {
      if (!labels.slice(k).includes(value)) continue;
      let here = 0;
      for (let i = k * size; i < (k + 1) * size; i += 1) if (voxels[i] === value && check.test(i)) here += 1;
      count += here;
      if (here > most) [worst, most] = [k, here];
    }
    if (count) hints.push({ text: check.say({ label: name, count, slice: worst + 1 }), slice: worst });
  }
  return hints;
}
