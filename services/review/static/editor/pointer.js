// Mouse, pen and touch on the picture that is drawn on.
const WHEEL_PX = 60;

/**
 * Left: the tool, with Ctrl it erases. Middle, or left with Alt: move. Right: window. Wheel: slices, with Ctrl zoom, with Shift size.
 * `act`: {ended(result), size(factor), place(pixel) or null while no comment is placed}.
 */
export function initDrawing(pane, desk, tools, act) {
  const { canvas, element } = pane;
  const ring = element.querySelector(".ring");
  let drag = null;
  let wheeled = 0;

  const ringTo = (event) => {
    const draws = ["brush", "eraser"].includes(tools.tool) && !tools.isReadOnly && !act.isPlacing();
    ring.hidden = !draws;
    if (!draws) return;
    const [sx] = pane.placing;
    const ratio = canvas.clientWidth / Math.max(1, canvas.width);
    const size = Math.max(4, (tools.sizeMm * sx * ratio) / pane.plane.stepX);
    Object.assign(ring.style, { width: `${size}px`, height: `${size}px`, translate: `${event.offsetX - size / 2}px ${event.offsetY - size / 2}px` });
  };

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerleave", () => {
    ring.hidden = true;
    desk.hover = null;
    if (desk.beside !== "planes") desk.request();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const turned = event.deltaY || event.deltaX; // with Shift, browsers turn the wheel sideways
      if (event.ctrlKey) pane.zoomBy(turned < 0 ? 1.15 : 1 / 1.15, [event.offsetX, event.offsetY]);
      if (event.ctrlKey) return ringTo(event), desk.request();
      if (event.shiftKey) return act.size(turned < 0 ? 1.15 : 1 / 1.15), ringTo(event);
      if (event.deltaMode === 0 && Math.abs(turned) < WHEEL_PX) {
        wheeled += turned;
        if (Math.abs(wheeled) < WHEEL_PX) return;
      }
      wheeled = 0;
      desk.goTo(desk.slice + Math.sign(turned));
    },
    { passive: false },
  );
  canvas.addEventListener("pointerdown", (event) => {
    if (drag || !pane.plane) return;
    canvas.setPointerCapture(event.pointerId);
    const way = event.button === 2 ? "window" : event.button === 1 || event.altKey || event.shiftKey ? "move" : tools.isReadOnly ? "move" : "draw";
    drag = { way, x: event.offsetX, y: event.offsetY, length: 0 };
    if (act.isPlacing() && event.button === 0) {
      drag.way = "place";
      return act.place(pane.pixelAt(event.offsetX, event.offsetY));
    }
    desk.hover = null; // the cross beside stands still while drawing: then rather none
    if (way === "draw") {
      const done = tools.press(pane.pixelAt(event.offsetX, event.offsetY), { isErasing: event.ctrlKey || event.metaKey });
      if (done) {
        act.ended(done);
        drag.way = "done";
      }
    }
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pane.plane) return;
    ringTo(event);
    if (!drag) {
      if (desk.beside !== "planes") {
        desk.hover = pane.pointAt(event.offsetX, event.offsetY);
        desk.request();
      }
      return;
    }
    const [dx, dy] = [event.offsetX - drag.x, event.offsetY - drag.y];
    drag.length += Math.hypot(dx, dy);
    if (drag.way === "draw") {
      const { left, top } = canvas.getBoundingClientRect();
      const every = event.getCoalescedEvents?.() ?? [];
      tools.drag((every.length ? every : [event]).map((each) => pane.pixelAt(each.clientX - left, each.clientY - top)));
    } else if (drag.way === "window") desk.changeWindow(dx, dy);
    else if (drag.way === "move" && pane.zoom > 1) {
      pane.pan = [pane.pan[0] + dx, pane.pan[1] + dy];
      desk.request();
    }
    Object.assign(drag, { x: event.offsetX, y: event.offsetY });
  });
  const end = () => {
    if (drag?.way === "draw") act.ended({ changed: tools.release() });
    drag = null;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("dblclick", () => tools.tool === "polygon" && act.ended({ changed: tools.close() }));
}
