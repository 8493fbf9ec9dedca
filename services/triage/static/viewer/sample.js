// Voxels on a plane. A slice is shown as it is; other planes are interpolated between slices at their true places.
import { dot } from "./geometry.js";

export const OUTSIDE = -32768;

/** One slice, unchanged: a view of the volume, not a copy. */
export function sliceValues(stack, voxels, k) {
  const size = stack.rows * stack.columns;
  return voxels.subarray(k * size, (k + 1) * size);
}

/** How a plane's pixels lie in the slices: offset along the normal, column and row, each linear in x and y. */
function steps(stack, plane) {
  const linear = (direction, scale) => [
    dot(plane.origin, direction) * scale,
    dot(plane.right, direction) * plane.stepX * scale,
    dot(plane.down, direction) * plane.stepY * scale,
  ];
  return {
    offset: linear(stack.normal, 1),
    column: linear(stack.row, 1 / stack.columnStep),
    row: linear(stack.column, 1 / stack.rowStep),
    firstColumn: Float64Array.from(stack.positions, (position) => dot(position, stack.row) / stack.columnStep),
    firstRow: Float64Array.from(stack.positions, (position) => dot(position, stack.column) / stack.rowStep),
  };
}

/**
 * Values on a plane, Int16Array (height * width), OUTSIDE where there are none. Between two slices a point is looked up
 * in both, each at the foot of its perpendicular, and weighted by its distance: exact for anything that changes linearly.
 * `labels` (a Map from slice to its Uint8Array) are taken from the nearest voxel.
 */
export function resample(stack, voxels, plane, labels) {
  const { slices, rows, columns, offsets } = stack;
  const { offset, column, row, firstColumn, firstRow } = steps(stack, plane);
  const { width, height } = plane;
  const values = new Int16Array(width * height).fill(OUTSIDE);
  const marks = labels.size ? new Uint8Array(width * height) : null;
  const low = offsets[0] - stack.firstHalf;
  const high = offsets[slices - 1] + stack.lastHalf;
  // A plane across the rows meets each of them once: it needs one value of each, not two by two voxels at every pixel.
  const isAcross = Math.abs(column[1]) < 1e-9 && Math.abs(column[2]) < 1e-9;
  const sheet = isAcross ? oneColumn(stack, voxels, firstColumn, column[0]) : null;
  // A plane along the rows stays between the same two slices and rows all along a line: they become two lines once.
  const isAlong = !isAcross && Math.abs(offset[1]) < 1e-9 && Math.abs(row[1]) < 1e-9;
  const lines = isAlong ? [new Float64Array(columns), new Float64Array(columns)] : null;
  const size = rows * columns;
  let k = 0;
  for (let y = 0; y < height; y += 1) {
    const [s0, c0, r0] = [offset[0] + y * offset[2], column[0] + y * column[2], row[0] + y * row[2]];
    const [from, to] = within(s0, offset[1], low, high, width);
    for (let x = from; x < to; x += 1) {
      const s = s0 + x * offset[1];
      while (k < slices - 2 && s > offsets[k + 1]) k += 1;
      while (k > 0 && s < offsets[k]) k -= 1;
      const next = slices > 1 ? k + 1 : k;
      const gap = offsets[next] - offsets[k];
      const part = gap > 0 ? (s - offsets[k]) / gap : 0;
      const weight = part < 0 ? 0 : part > 1 ? 1 : part;
      const c = c0 + x * column[1];
      const r = r0 + x * row[1];
      const rowHere = r - firstRow[k];
      const rowThere = r - firstRow[next];
      let here;
      let there;
      if (isAcross) {
        here = between(sheet, k * rows, rows, rowHere);
        there = between(sheet, next * rows, rows, rowThere);
      } else if (isAlong) {
        if (x === from) {
          fillLine(lines[0], voxels, k * size, rows, rowHere);
          fillLine(lines[1], voxels, next * size, rows, rowThere);
        }
        here = between(lines[0], 0, columns, c - firstColumn[k]);
        there = between(lines[1], 0, columns, c - firstColumn[next]);
      } else {
        here = lookUp(voxels, k * size, columns, rows, c - firstColumn[k], rowHere);
        there = weight > 0 ? lookUp(voxels, next * size, columns, rows, c - firstColumn[next], rowThere) : here;
      }
      // In a tilted stack the edge of one slice may have no neighbour in the next: then the nearer one has to be there.
      const i = y * width + x;
      if (here > OUTSIDE && there > OUTSIDE) values[i] = Math.round(here + (there - here) * weight);
      else if (weight < 0.5) values[i] = here;
      else values[i] = there;
      if (marks === null) continue;
      const near = weight < 0.5 ? k : next;
      const labelled = labels.get(near);
      if (labelled === undefined) continue;
      const nc = Math.round(c - firstColumn[near]);
      const nr = Math.round(r - firstRow[near]);
      if (nc >= 0 && nr >= 0 && nc < columns && nr < rows) marks[i] = labelled[nr * columns + nc];
    }
  }
  return { values, marks };
}

/** Which steps of a line first + x * step, x = 0 .. count - 1, lie between two limits: [from, to). */
function within(first, step, low, high, count) {
  if (Math.abs(step) < 1e-12) return first >= low && first <= high ? [0, count] : [0, 0];
  const [one, other] = [(low - first) / step, (high - first) / step];
  return [Math.max(0, Math.ceil(Math.min(one, other))), Math.min(count, Math.floor(Math.max(one, other)) + 1)];
}

/** One value a row of every slice, between two columns; OUTSIDE where a slice does not reach so far. */
function oneColumn({ slices, rows, columns }, voxels, firstColumn, column) {
  const values = new Float32Array(slices * rows);
  for (let k = 0; k < slices; k += 1) {
    const c = column - firstColumn[k];
    for (let r = 0; r < rows; r += 1) values[k * rows + r] = lookUp(voxels, k * rows * columns, columns, rows, c, r);
  }
  return values;
}

/** What lies between two rows of a slice, a value a column; OUTSIDE beyond its edge. */
function fillLine(line, voxels, start, rows, r) {
  const columns = line.length;
  if (r < -0.5 || r > rows - 0.5) {
    line.fill(OUTSIDE);
    return;
  }
  const y = r < 0 ? 0 : r | 0;
  const part = r < 0 || y >= rows - 1 ? 0 : r - y;
  const first = start + y * columns;
  const below = part > 0 ? first + columns : first;
  for (let c = 0; c < columns; c += 1) line[c] = voxels[first + c] + (voxels[below + c] - voxels[first + c]) * part;
}

/** A value between two of one row of a sheet, linear; OUTSIDE beyond its ends. */
function between(values, start, count, at) {
  if (at < -0.5 || at > count - 0.5) return OUTSIDE;
  const first = at < 0 ? 0 : at | 0;
  if (at < 0 || first >= count - 1) return values[start + first];
  const value = values[start + first];
  return value + (values[start + first + 1] - value) * (at - first);
}

/** The value of a slice between its voxels, bilinear; OUTSIDE beyond its edge. `start`: where the slice begins. */
function lookUp(voxels, start, columns, rows, c, r) {
  if (c < -0.5 || r < -0.5 || c > columns - 0.5 || r > rows - 0.5) return OUTSIDE;
  const x0 = c < 0 ? 0 : c | 0;
  const y0 = r < 0 ? 0 : r | 0;
  const fx = c < 0 || x0 >= columns - 1 ? 0 : c - x0;
  const fy = r < 0 || y0 >= rows - 1 ? 0 : r - y0;
  const first = start + y0 * columns + x0;
  const below = fy > 0 ? first + columns : first;
  const next = fx > 0 ? 1 : 0;
  const top = voxels[first] + (voxels[first + next] - voxels[first]) * fx;
  return top + (voxels[below] + (voxels[below + next] - voxels[below]) * fx - top) * fy;
}
