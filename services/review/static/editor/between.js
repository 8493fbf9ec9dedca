// Shapes between two drawn slices, by the signed distance to their edges (shape-based interpolation).

const FAR = 1e20;

/** Squared distances along one line, exact: the lower envelope of a parabola at every pixel. */
function transform(values, length, step) {
  const squared = step * step;
  const places = new Int32Array(length);
  const starts = new Float64Array(length + 1).fill(Infinity);
  const meeting = (q, p) => (values[q] - values[p] + squared * (q * q - p * p)) / (2 * squared * (q - p));
  let last = 0;
  starts[0] = -Infinity;
  for (let q = 1; q < length; q += 1) {
    while (meeting(q, places[last]) <= starts[last]) last -= 1;
    const start = meeting(q, places[last]);
    last += 1;
    places[last] = q;
    starts[last] = start;
    starts[last + 1] = Infinity;
  }
  const result = new Float64Array(length);
  for (let q = 0, at = 0; q < length; q += 1) {
    while (starts[at + 1] < q) at += 1;
    result[q] = squared * (q - places[at]) ** 2 + values[places[at]];
  }
  return result;
}

/** Distance in millimetres of every pixel to the nearest one where `isThere(i)` holds. */
export function distance(isThere, { width, height, stepX, stepY }) {
  const field = new Float64Array(width * height);
  for (let i = 0; i < field.length; i += 1) field[i] = isThere(i) ? 0 : FAR;
  for (let x = 0; x < width; x += 1) {
    const column = new Float64Array(height);
    for (let y = 0; y < height; y += 1) column[y] = field[y * width + x];
    const done = transform(column, height, stepY);
    for (let y = 0; y < height; y += 1) field[y * width + x] = done[y];
  }
  for (let y = 0; y < height; y += 1) field.set(transform(field.slice(y * width, (y + 1) * width), width, stepX), y * width);
  return field.map(Math.sqrt);
}

/** Distance to the edge of a label: negative inside, positive outside. */
export function signedDistance(marks, label, plane) {
  const outside = distance((i) => marks[i] === label, plane);
  const inside = distance((i) => marks[i] !== label, plane);
  return outside.map((away, i) => away - inside[i]);
}

/** The box around a label on some planes, grown by a margin: {left, top, width, height}; null where there is none. */
function boxOf(planes, label, columns, rows, margin) {
  let [left, top, right, bottom] = [columns, rows, -1, -1];
  for (const marks of planes) {
    for (let i = 0; i < marks.length; i += 1) {
      if (marks[i] !== label) continue;
      const [x, y] = [i % columns, Math.floor(i / columns)];
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    }
  }
  if (right < 0) return null;
  [left, top] = [Math.max(0, left - margin), Math.max(0, top - margin)];
  return { left, top, width: Math.min(columns - 1, right + margin) - left + 1, height: Math.min(rows - 1, bottom + margin) - top + 1 };
}

/**
 * The slices without a label between two that have it: [below, above] pairs with at least one slice in between.
 * `has(k)`: whether slice k shows the label.
 */
export function gaps(slices, has) {
  const shown = Array.from({ length: slices }, (_, k) => k).filter(has);
  return shown.slice(1).map((k, n) => [shown[n], k]).filter(([below, above]) => above - below > 1);
}

/**
 * Fill what lies between drawn slices: calls visit(index) for every voxel that becomes part of the label.
 * Slices are weighted by their true places, so uneven steps are uneven weights.
 */
export function fillBetween(labels, stack, label, visit) {
  const { slices, rows, columns, size } = labels;
  const pairs = gaps(slices, (k) => labels.slice(k).includes(label));
  for (const [below, above] of pairs) {
    const box = boxOf([labels.slice(below), labels.slice(above)], label, columns, rows, 2);
    const plane = { width: box.width, height: box.height, stepX: stack.columnStep, stepY: stack.rowStep };
    const [low, high] = [below, above].map((k) => {
      const marks = new Uint8Array(box.width * box.height);
      const from = labels.slice(k);
      for (let y = 0; y < box.height; y += 1) {
        const start = (box.top + y) * columns + box.left;
        marks.set(from.subarray(start, start + box.width), y * box.width);
      }
      return signedDistance(marks, label, plane);
    });
    for (let k = below + 1; k < above; k += 1) {
      const weight = (stack.offsets[k] - stack.offsets[below]) / (stack.offsets[above] - stack.offsets[below]);
      for (let i = 0; i < low.length; i += 1) {
        if (low[i] * (1 - weight) + high[i] * weight >= 0) continue;
        visit(k * size + (box.top + Math.floor(i / box.width)) * columns + box.left + (i % box.width));
      }
    }
  }
  return pairs;
}
