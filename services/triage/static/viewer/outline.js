// Labels as outlines along voxel edges, or as a thin fill.

/** The box around all labels, one wider on each side within the plane; null where there are none. */
function box(marks, width, height) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0, i = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, i += 1) {
      if (!marks[i]) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
    }
  }
  return right < 0 ? null : { left, top, right, bottom };
}

/** For each label on a plane, a Path2D along its voxels' edges in pixel units: pixel (x, y) covers x - 0.5 .. x + 0.5. */
export function outlines(marks, width, height) {
  if (!traced.has(marks)) traced.set(marks, trace(marks, width, height));
  return traced.get(marks);
}

const traced = new WeakMap();

function trace(marks, width, height) {
  const paths = new Map();
  const around = box(marks, width, height);
  if (!around) return paths;
  const path = (label) => paths.get(label) ?? paths.set(label, new Path2D()).get(label);
  const markAt = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : marks[y * width + x]);
  const follow = (lines, ends, isHorizontal, side) => {
    for (let line = lines[0]; line <= lines[1] + 1; line += 1) {
      let open = 0;
      let from = 0;
      for (let at = ends[0]; at <= ends[1] + 1; at += 1) {
        const own = isHorizontal ? markAt(at, line - side) : markAt(line - side, at);
        const other = isHorizontal ? markAt(at, line - 1 + side) : markAt(line - 1 + side, at);
        const label = own !== other ? own : 0;
        if (label === open) continue;
        if (open && isHorizontal) {
          path(open).moveTo(from - 0.5, line - 0.5);
          path(open).lineTo(at - 0.5, line - 0.5);
        } else if (open) {
          path(open).moveTo(line - 0.5, from - 0.5);
          path(open).lineTo(line - 0.5, at - 0.5);
        }
        open = label;
        from = at;
      }
    }
  };
  for (const side of [0, 1]) {
    follow([around.top, around.bottom], [around.left, around.right], true, side);
    follow([around.left, around.right], [around.top, around.bottom], false, side);
  }
  return paths;
}

/** Paint a fill of the labels into pixels (Uint32Array, little-endian RGBA), clear elsewhere. */
export function fill(marks, colours, pixels) {
  const table = new Uint32Array(256);
  for (const [label, colour] of colours) {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    table[label] = 0x66000000 | (b << 16) | (g << 8) | r;
  }
  for (let i = 0; i < marks.length; i += 1) pixels[i] = table[marks[i]];
}
