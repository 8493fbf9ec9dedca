// Which pixels a shape covers. Pixel (x, y) has its centre at (x, y); lengths are in millimetres where they say so.

/** Rows of a disc: for each row y, the first and last column covered. `stepX`, `stepY`: millimetres a pixel. */
export function disc([x, y], radius, { stepX, stepY, width, height }, visit) {
  const top = Math.max(0, Math.ceil(y - radius / stepY));
  const bottom = Math.min(height - 1, Math.floor(y + radius / stepY));
  for (let row = top; row <= bottom; row += 1) {
    const away = (row - y) * stepY;
    const half = Math.sqrt(Math.max(0, radius * radius - away * away)) / stepX;
    const left = Math.max(0, Math.ceil(x - half));
    const right = Math.min(width - 1, Math.floor(x + half));
    for (let column = left; column <= right; column += 1) visit(column, row);
  }
  // A brush smaller than a pixel still paints the one it points at.
  const [nearX, nearY] = [Math.round(x), Math.round(y)];
  if (nearX >= 0 && nearY >= 0 && nearX < width && nearY < height) visit(nearX, nearY);
}

/** Discs so close together along a line that the stroke has no gaps. */
export function stroke(from, to, radius, plane, visit) {
  const length = Math.hypot((to[0] - from[0]) * plane.stepX, (to[1] - from[1]) * plane.stepY);
  const step = Math.max(radius / 3, Math.min(plane.stepX, plane.stepY) / 2);
  const count = Math.max(1, Math.ceil(length / step));
  for (let n = 1; n <= count; n += 1) {
    disc([from[0] + ((to[0] - from[0]) * n) / count, from[1] + ((to[1] - from[1]) * n) / count], radius, plane, visit);
  }
}

/**
 * The discs in which a sphere cuts a series' slices: [slice, middle in that slice's pixels, radius in mm].
 * Tilted slices are shifted against each other, so each has its own middle.
 */
export function sphere(stack, k, [x, y], radius) {
  const { positions, row, column, rowStep, columnStep, offsets, normal } = stack;
  const middle = [0, 1, 2].map((axis) => positions[k][axis] + row[axis] * x * columnStep + column[axis] * y * rowStep);
  const along = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const cuts = [];
  for (let slice = 0; slice < stack.slices; slice += 1) {
    const away = offsets[slice] - along(middle, normal);
    const within = Math.sqrt(Math.max(0, radius * radius - away * away));
    if (slice !== k && !within) continue;
    const from = [0, 1, 2].map((axis) => middle[axis] - positions[slice][axis]);
    cuts.push([slice, [along(from, row) / columnStep, along(from, column) / rowStep], slice === k ? radius : within]);
  }
  return cuts;
}

/** Pixels whose centres lie inside a closed polygon (even-odd rule). */
export function polygon(points, { width, height }, visit) {
  if (points.length < 3) return;
  const ys = points.map((point) => point[1]);
  for (let row = Math.max(0, Math.ceil(Math.min(...ys))); row <= Math.min(height - 1, Math.floor(Math.max(...ys))); row += 1) {
    const crossings = [];
    points.forEach(([x0, y0], n) => {
      const [x1, y1] = points[(n + 1) % points.length];
      if (y0 <= row === y1 <= row) return;
      crossings.push(x0 + ((row - y0) * (x1 - x0)) / (y1 - y0));
    });
    crossings.sort((a, b) => a - b);
    for (let n = 0; n + 1 < crossings.length; n += 2) {
      const right = Math.min(width - 1, Math.floor(crossings[n + 1]));
      for (let column = Math.max(0, Math.ceil(crossings[n])); column <= right; column += 1) visit(column, row);
    }
  }
}
