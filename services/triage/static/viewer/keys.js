// Keys of the viewer. Single letters are ignored while typing and can be switched off.
import { initSwitch, isTyping } from "../single-keys.js";

export function initKeys({ actions, view }) {
  const dialog = document.getElementById("keys");
  const areOn = initSwitch();

  const always = {
    ArrowUp: () => view()?.goTo(view().slice - 1),
    ArrowDown: () => view()?.goTo(view().slice + 1),
    ArrowLeft: () => view()?.goTo(view().slice - 1),
    ArrowRight: () => view()?.goTo(view().slice + 1),
    PageUp: () => view()?.goTo(view().slice - 5),
    PageDown: () => view()?.goTo(view().slice + 5),
    Home: () => view()?.goTo(0),
    End: () => view()?.goTo(Infinity),
  };
  const single = {
    n: () => actions.finding(1),
    N: () => actions.finding(-1),
    1: () => actions.window("1"),
    2: () => actions.window("2"),
    3: () => actions.window("3"),
    4: () => actions.window("4"),
    "[": () => view()?.changeWindow(0, -5),
    "]": () => view()?.changeWindow(0, 5),
    "{": () => view()?.changeWindow(-10, 0),
    "}": () => view()?.changeWindow(10, 0),
    "+": () => actions.zoom(1.25),
    "=": () => actions.zoom(1.25),
    "-": () => actions.zoom(0.8),
    " ": () => actions.reset(),
    i: () => actions.invert(),
    o: () => actions.overlay(),
    m: () => actions.planes(),
    j: () => actions.study(1),
    k: () => actions.study(-1),
    c: () => actions.claim(),
    a: () => actions.agree(),
    d: () => actions.disagree(),
    "?": () => dialog.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open) return;
    const { target, key } = event;
    if (isTyping(target)) return;
    if (key === "Escape") {
      event.preventDefault(); // a browser's own Escape stops the page that is on its way
      return actions.escape();
    }
    if (Object.hasOwn(always, key)) {
      // The panel scrolls by these keys when the reader is in it.
      if (target.closest?.("#panel")) return;
      event.preventDefault();
      return always[key]();
    }
    if (key === " " && target.closest?.("a, button, summary")) return;
    if (!areOn()) return;
    if (key.toLowerCase() === "h") return view()?.hide(true);
    const action = single[key] ?? single[key.toLowerCase()];
    if (!action || (event.repeat && "acjkd".includes(key))) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("keyup", (event) => event.key.toLowerCase() === "h" && view()?.hide(false));
  addEventListener("blur", () => view()?.hide(false));
}
