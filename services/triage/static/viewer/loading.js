// Fetching images and labels. Every failure is a sentence for the reader.
import { _ } from "../i18n.js";

const LIVE = { "x-nightjar-live": "1" };

async function get(address) {
  let response;
  try {
    response = await fetch(address, { headers: LIVE });
  } catch {
    throw new Error(_("The connection is lost. Try again, or read the study in PACS."));
  }
  if (response.status === 401) {
    location.assign("/sign-in");
    throw new Error(_("Sign in first."));
  }
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Error(typeof said.detail === "string" ? said.detail : _("The images cannot be loaded. Read the study in PACS."));
  }
  return response;
}

/** Geometry and voxels of a series; `address` ends with the series' key. */
export async function loadImages(address) {
  const [geometry, voxels] = await Promise.all([
    get(`${address}/geometry`).then((response) => response.json()),
    get(`${address}/voxels`).then((response) => response.arrayBuffer()),
  ]);
  return { geometry, voxels: new Int16Array(voxels) };
}

/** An answer's labels as they come: the slices that show any, and all their voxels one after another. */
export async function loadLabels(address, analysis) {
  const response = await get(`${address}/labels/${analysis}`);
  const slices = JSON.parse(response.headers.get("x-nightjar-slices"));
  return { slices, voxels: new Uint8Array(await response.arrayBuffer()) };
}

/** Map from slice to its labels, Uint8Array (rows * columns). */
export function bySlice({ slices, voxels }, voxelsASlice) {
  return new Map(slices.map((slice, n) => [slice, voxels.subarray(n * voxelsASlice, (n + 1) * voxelsASlice)]));
}

/** Several answers' labels in one: where they overlap, the later wins. Their values are kept apart by `shift`. */
export function merge(several) {
  const merged = new Map();
  for (const { planes, shift } of several) {
    for (const [slice, plane] of planes) {
      const target = merged.get(slice) ?? new Uint8Array(plane.length);
      for (let i = 0; i < plane.length; i += 1) if (plane[i]) target[i] = plane[i] + shift;
      merged.set(slice, target);
    }
  }
  return merged;
}
