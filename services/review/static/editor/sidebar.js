// What stands beside the picture: labels with their figures, changed slices, comments, hints.

import { _ } from "../../i18n.js";

const number = (value, digits = 1) => value.toFixed(digits);
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

export class Sidebar {
  constructor({ labels, onlabel, onshow, onlock, onslice }) {
    Object.assign(this, { labels, onslice });
    this.rows = new Map();
    const list = document.getElementById("labels");
    labels.forEach((label, n) => {
      const pick = make("button", { type: "button", className: "pick" });
      const swatch = make("span", { className: "swatch" });
      swatch.style.background = label.colour;
      const key = n < 9 ? make("kbd", { textContent: String(n + 1) }) : "";
      pick.append(swatch, make("b", { textContent: label.name }), key);
      pick.title = n < 9 ? `${label.meaning} (Alt ${n + 1})` : label.meaning;
      pick.addEventListener("click", () => onlabel(label.value));
      const show = make("button", { type: "button", className: "small-toggle", textContent: _("Show") });
      const lock = make("button", { type: "button", className: "small-toggle", textContent: _("Lock") });
      show.setAttribute("aria-label", _("Show %(label)s", { label: label.name }));
      lock.setAttribute("aria-label", _("Lock %(label)s", { label: label.name }));
      show.addEventListener("click", () => onshow(label.value));
      lock.addEventListener("click", () => onlock(label.value));
      list.append(make("li", {}, pick, show, lock));
      this.rows.set(label.value, { pick, show, lock });
    });
  }

  showLabels({ current, hidden, locked }) {
    for (const [value, { pick, show, lock }] of this.rows) {
      pick.setAttribute("aria-pressed", value === current);
      show.setAttribute("aria-pressed", !hidden.has(value));
      lock.setAttribute("aria-pressed", locked.has(value));
    }
  }

  showFigures(figures, compared) {
    const body = document.getElementById("figures");
    body.replaceChildren(
      ...this.labels.map((label) => {
        const { ml, before, dice } = figures.of(label.value);
        const swatch = make("span", { className: "swatch" });
        swatch.style.background = label.colour;
        const change = compared && Math.abs(ml - before) >= 0.05 ? make("span", { className: "sub", textContent: `${ml > before ? "+" : "−"}${number(Math.abs(ml - before))}` }) : "";
        return make(
          "tr",
          { className: ml || before ? "" : "none" },
          make("th", { scope: "row" }, swatch, ` ${label.name}`),
          make("td", { className: "num" }, `${number(ml)} mL`, change),
          make("td", { className: "num", textContent: !compared ? "" : dice === null ? "–" : dice.toFixed(3) }),
        );
      }),
    );
    document.getElementById("compared").textContent = compared ? _("Dice against %(name)s", { name: compared }) : "";
    const slices = compared ? figures.changedSlices : [];
    const list = document.getElementById("changed");
    if (!list) return; // nothing to compare with may be seen
    document.getElementById("changed-count").textContent = compared ? (slices.length ? `${slices.length}` : _("none")) : "";
    list.replaceChildren(
      ...slices.map((k) => {
        const button = make("button", { type: "button", textContent: String(k + 1) });
        button.setAttribute("aria-label", _("Slice %(number)s", { number: k + 1 }));
        button.addEventListener("click", () => this.onslice(k));
        return make("li", {}, button);
      }),
    );
  }

  showComments(comments, open) {
    document.getElementById("comments").replaceChildren(
      ...comments.map((comment, n) => {
        const where = comment.voxel ? _("Slice %(number)s", { number: comment.voxel[0] + 1 }) : _("Whole study");
        const place = comment.voxel ? make("button", { type: "button", className: "link", textContent: `${n + 1} · ${where}` }) : make("b", { textContent: `${n + 1} · ${where}` });
        if (comment.voxel) place.addEventListener("click", () => open(comment));
        return make(
          "li",
          { className: comment.doubtful ? "doubtful" : "" },
          place,
          comment.doubtful ? make("span", { className: "amber", textContent: ` ${_("doubtful")}` }) : "",
          make("p", { textContent: comment.text }),
          make("p", { className: "sub", textContent: `${comment.author} · ${comment.at}` }),
        );
      }),
    );
  }

  showHints(hints) {
    const list = document.getElementById("hints");
    document.getElementById("hints-title").hidden = !hints.length;
    list.replaceChildren(
      ...hints.map(({ text, slice }) => {
        const button = make("button", { type: "button", className: "link", textContent: text });
        button.addEventListener("click", () => this.onslice(slice));
        return make("li", {}, button);
      }),
    );
  }
}
