// The sound of an Immediate result: off until this reader turns it on at this station, then until it is acknowledged.
import { _ } from "./i18n.js";

const EVERY_MS = 6000;
const TONES_HZ = [880, 660];
const button = document.getElementById("sound");

let audio = null;
let timer = 0;

const storageKey = (account) => `nightjar.sound.${account}`;

function settle(isOn) {
  button.setAttribute("aria-pressed", isOn);
  button.querySelector("span").textContent = isOn ? _("Sound on") : _("Sound off");
}

function play() {
  audio ??= new AudioContext();
  if (audio.state === "suspended") audio.resume(); // a browser lets no page sound before somebody touched it
  button.dataset.played = Number(button.dataset.played ?? 0) + 1;
  TONES_HZ.forEach((frequency, n) => {
    const [oscillator, volume] = [audio.createOscillator(), audio.createGain()];
    const at = audio.currentTime + n * 0.22;
    oscillator.frequency.value = frequency;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.25, at + 0.02);
    volume.gain.linearRampToValueAtTime(0, at + 0.2);
    oscillator.connect(volume).connect(audio.destination);
    oscillator.start(at);
    oscillator.stop(at + 0.22);
  });
}

/** Wires the button; the returned function is told whether somebody has to be called. */
export function initSound(account) {
  let isOn = localStorage.getItem(storageKey(account)) === "on";
  let isCalling = false;
  const run = () => {
    clearInterval(timer);
    if (!isOn || !isCalling) return;
    play();
    timer = setInterval(play, EVERY_MS);
  };
  button.addEventListener("click", () => {
    isOn = !isOn;
    localStorage.setItem(storageKey(account), isOn ? "on" : "off");
    settle(isOn);
    if (isOn && !isCalling) play(); // so that one knows it
    run();
  });
  settle(isOn);
  return (calls) => {
    if (calls === isCalling) return;
    isCalling = calls;
    run();
  };
}
