// The shift summary: printing, and Escape back to the list.

const print = document.getElementById("print");
print.hidden = false;
print.addEventListener("click", () => window.print());
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.target.closest?.("select")) return;
  event.preventDefault(); // a browser's own Escape stops the page that is on its way
  document.getElementById("back").click();
});
