// Connected voxels: what a click fills, and what grows from a seed.

/**
 * Voxels connected with one of them by their faces, as far as `belongs(index)` holds; in its own slice, or in all.
 * Null as soon as there are more than `limit`: nobody wants half the head filled by a slip.
 */
export function connected({ slices, rows, columns }, seed, belongs, { is3d = false, limit = Infinity } = {}) {
  if (!belongs(seed)) return [];
  const size = rows * columns;
  const seen = new Set([seed]);
  const found = [seed];
  for (let n = 0; n < found.length; n += 1) {
    const index = found[n];
    const k = Math.floor(index / size);
    const y = Math.floor((index - k * size) / columns);
    const x = index - k * size - y * columns;
    const go = (next) => {
      if (seen.has(next) || !belongs(next)) return;
      seen.add(next);
      found.push(next);
    };
    if (x > 0) go(index - 1);
    if (x < columns - 1) go(index + 1);
    if (y > 0) go(index - columns);
    if (y < rows - 1) go(index + columns);
    if (is3d && k > 0) go(index - size);
    if (is3d && k < slices - 1) go(index + size);
    if (found.length > limit) return null;
  }
  return found;
}

/** Whether any of these voxels lies at the edge of its slice: then the region is not enclosed. */
export function touchesEdge({ rows, columns }, indices) {
  const size = rows * columns;
  return indices.some((index) => {
    const within = index % size;
    const [x, y] = [within % columns, Math.floor(within / columns)];
    return x === 0 || y === 0 || x === columns - 1 || y === rows - 1;
  });
}

/** Mean and standard deviation of the values at some places; NaN of none. */
export function spread(values, indices) {
  let [sum, squares] = [0, 0];
  for (const index of indices) {
    sum += values[index];
    squares += values[index] * values[index];
  }
  const mean = sum / indices.length;
  return { mean, sd: Math.sqrt(Math.max(0, squares / indices.length - mean * mean)) };
}

/** The places of the square around a voxel in its slice. */
export function around({ rows, columns }, index, reach = 2) {
  const size = rows * columns;
  const first = Math.floor(index / size) * size;
  const [x, y] = [(index - first) % columns, Math.floor((index - first) / columns)];
  const places = [];
  for (let row = Math.max(0, y - reach); row <= Math.min(rows - 1, y + reach); row += 1) {
    for (let column = Math.max(0, x - reach); column <= Math.min(columns - 1, x + reach); column += 1) {
      places.push(first + row * columns + column);
    }
  }
  return places;
}
