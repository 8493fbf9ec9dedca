// The images of a reader study: the sliders and the wheel leaf through their slices and change how they are shown, both
// of a pair alike.

const pictures = [...document.querySelectorAll("img.picture")];
const [slice, contrast, brightness] = ["slice", "contrast", "brightness"].map((id) => document.getElementById(id));

function show() {
  const part = Number(slice.value) / Math.max(1, Number(slice.max));
  // A step of the slider changes the width by a fifth, the level by a twentieth of it.
  const look = `?contrast=${(1.2 ** Number(contrast.value)).toFixed(3)}&brightness=${(Number(brightness.value) / 20).toFixed(2)}`;
  for (const picture of pictures) {
    const index = Math.round(part * (Number(picture.dataset.slices) - 1));
    picture.src = picture.dataset.base + index + look;
  }
  document.getElementById("shown").textContent = String(Number(slice.value) + 1);
}

for (const slider of [slice, contrast, brightness]) slider?.addEventListener("input", show);
for (const picture of pictures) {
  picture.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      slice.value = String(Number(slice.value) + Math.sign(event.deltaY));
      show();
    },
    { passive: false },
  );
}
