// Before and after: the slice, the divider, the zoom; both pictures scroll together.
const main = document.getElementById("main");
const stages = document.getElementById("stages");
const [slice, divider, zoom, apart, number] = ["slice", "divider", "zoom", "apart", "number"].map((id) => document.getElementById(id));
const figures = [...stages.querySelectorAll("figure")];

stages.style.setProperty("--proportion", main.dataset.proportion);

function show() {
  number.textContent = `${Number(slice.value) + 1} / ${Number(slice.max) + 1}`;
  for (const picture of stages.querySelectorAll("img")) {
    picture.src = `${main.dataset.pictures}/${slice.value}/${picture.dataset.side}`;
  }
}

function step(by) {
  slice.value = Number(slice.value) + by;
  show();
}

slice.addEventListener("input", show);
divider.addEventListener("input", () => stages.style.setProperty("--divider", `${divider.value}%`));
zoom.addEventListener("change", () => {
  const [figure] = figures;
  const middle = [figure.scrollLeft + figure.clientWidth / 2, figure.scrollTop + figure.clientHeight / 2];
  const before = Number(stages.style.getPropertyValue("--zoom") || 1);
  stages.style.setProperty("--zoom", zoom.value);
  const [across, down] = middle.map((place) => (place * zoom.value) / before);
  for (const each of figures) each.scrollTo(across - each.clientWidth / 2, down - each.clientHeight / 2);
});
apart.addEventListener("change", () => {
  stages.classList.toggle("apart", apart.checked);
  divider.disabled = apart.checked;
});
stages.addEventListener("wheel", (event) => {
  if (event.ctrlKey || event.shiftKey || zoom.value !== "1") return; // zoomed, the wheel moves the picture
  event.preventDefault();
  step(Math.sign(event.deltaY));
}, { passive: false });
for (const figure of figures) {
  figure.addEventListener("scroll", () => {
    for (const other of figures) other.scrollTo(figure.scrollLeft, figure.scrollTop);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    event.preventDefault(); // a browser's own Escape stops the page that is on its way
    document.getElementById("back").click();
  } else if (event.key === "PageUp" || event.key === "PageDown") {
    event.preventDefault();
    step(event.key === "PageUp" ? -1 : 1);
  }
});
