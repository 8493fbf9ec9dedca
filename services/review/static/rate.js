// The image of a reader study: the slider and the wheel leaf through its slices.

const picture = document.getElementById("picture");
const slider = document.getElementById("slice");

function show() {
  picture.src = picture.dataset.base + slider.value;
  document.getElementById("shown").textContent = String(Number(slider.value) + 1);
}

slider?.addEventListener("input", show);
picture?.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    slider.value = String(Number(slider.value) + Math.sign(event.deltaY));
    show();
  },
  { passive: false },
);
