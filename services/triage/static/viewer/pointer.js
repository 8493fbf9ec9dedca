// Wheel, mouse and touch on the pictures and on the track of slices.
import { _ } from "../i18n.js";

const CLICK_PX = 4;
const WHEEL_PX = 60; // of a touchpad, for one slice

/**
 * Wheel: slices, or zoom with Ctrl. Right drag: window. Left drag: move when zoomed. Click: go there.
 * One finger: slices, or move when zoomed. Two fingers: zoom and move.
 */
export function initPane(pane, name, view) {
  const { canvas } = pane;
  const fingers = new Map();
  let wheeled = 0;
  let drag = null;
  let pinch = null;

  /** Distance and middle of two fingers. */
  const spread = () => {
    const [[ax, ay], [bx, by]] = fingers.values();
    return { apart: Math.max(1, Math.hypot(bx - ax, by - ay)), middle: [(ax + bx) / 2, (ay + by) / 2] };
  };
  const pinchTo = (now) => {
    pane.zoomBy(now.apart / pinch.apart, pinch.middle);
    if (pane.zoom > 1) pane.pan = pane.pan.map((way, axis) => way + now.middle[axis] - pinch.middle[axis]);
    pinch = now;
    view.request();
  };

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (event.ctrlKey) {
        pane.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15, [event.offsetX, event.offsetY]);
        view.request();
        return;
      }
      if (event.deltaMode === 0 && Math.abs(event.deltaY) < WHEEL_PX) {
        wheeled += event.deltaY;
        if (Math.abs(wheeled) < WHEEL_PX) return;
      }
      wheeled = 0;
      view.goTo(view.slice + Math.sign(event.deltaY));
    },
    { passive: false },
  );
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 && event.button !== 2) return;
    canvas.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    pinch = fingers.size === 2 ? spread() : null;
    if (fingers.size > 1) {
      drag = null; // what one finger began is no click and no scrolling any more
      return;
    }
    drag = { button: event.button, x: event.offsetX, y: event.offsetY, way: 0, slice: view.slice };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (pinch) pinchTo(spread());
    if (!drag) return;
    const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
    drag.way = Math.max(drag.way, Math.hypot(dx, dy));
    if (drag.button === 2) {
      view.changeWindow(dx, dy);
      Object.assign(drag, { x: event.offsetX, y: event.offsetY });
    } else if (event.pointerType === "touch" && pane.zoom === 1) {
      if (name === "slice") view.goTo(drag.slice + Math.round((dy / canvas.clientHeight) * view.stack.slices));
    } else if (pane.zoom > 1 && drag.way > CLICK_PX) {
      pane.pan = [pane.pan[0] + dx, pane.pan[1] + dy];
      Object.assign(drag, { x: event.offsetX, y: event.offsetY });
      view.request();
    }
  });
  const end = (event) => {
    fingers.delete(event.pointerId);
    pinch = null;
    if (drag?.button === 0 && drag.way <= CLICK_PX && event.type === "pointerup") {
      const point = pane.pointAt(event.offsetX, event.offsetY);
      if (name === "slice") view.goTo(view.slice, point);
      else view.goToPoint(point);
    }
    drag = null;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}

/** The track beside the slice: a slider with a tick for every slice that shows a finding. */
export function initTrack(track, view) {
  const knob = track.querySelector(".knob");
  const { slices } = view.stack;
  const place = (slice) => `${(100 * (slice + 0.5)) / slices}%`;
  track.setAttribute("aria-valuemax", slices);
  const pick = (event) => {
    const { top, height } = track.getBoundingClientRect();
    view.goTo(Math.floor(((event.clientY - top) / height) * slices));
  };
  track.addEventListener("pointerdown", (event) => {
    track.setPointerCapture(event.pointerId);
    pick(event);
  });
  track.addEventListener("pointermove", (event) => track.hasPointerCapture(event.pointerId) && pick(event));
  return {
    mark(names) {
      for (const tick of track.querySelectorAll("svg")) tick.remove();
      for (const [slice, present] of view.present) {
        const tick = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        tick.setAttribute("viewBox", `0 0 ${present.length} 1`);
        tick.setAttribute("preserveAspectRatio", "none");
        tick.setAttribute("aria-hidden", "true");
        present.forEach((label, n) => {
          const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
          for (const [key, value] of Object.entries({ x: n, width: 1, height: 1, fill: view.colours.get(label) ?? "#fff" })) rect.setAttribute(key, value);
          tick.append(rect);
        });
        tick.style.top = place(slice);
        track.append(tick);
      }
      this.names = names;
      this.update();
    },
    update() {
      knob.style.top = place(view.slice);
      track.setAttribute("aria-valuenow", view.slice + 1);
      const here = view.present.get(view.slice) ?? [];
      const said = here.map((label) => this.names?.get(label)).filter(Boolean);
      const words = { number: view.slice + 1, slices, findings: said.join(", ") };
      const text = said.length ? _("Slice %(number)s of %(slices)s, suspected %(findings)s", words) : _("Slice %(number)s of %(slices)s", words);
      track.setAttribute("aria-valuetext", text);
    },
  };
}
