// Draws the model's golden images as buttons.

import { element, make, setAria } from "./dom.js";
import { fileName } from "./format.js";
import { say } from "./words.js";

export function drawSamples({ model, picture }) {
  const addresses = model?.golden_images ?? [];
  const list = element("samples");
  const present = [...list.children].map((item) => item.firstChild.dataset.address);
  if (present.join() !== addresses.join()) {
    list.replaceChildren(...addresses.map((address) => make("li", "", newSample(address))));
  }
  for (const { firstChild: button } of list.children) {
    setAria(button, {
      pressed: button.dataset.address === picture?.address,
      label: say("choose.sample", { name: fileName(button.dataset.address) }),
    });
  }
}

function newSample(address) {
  const image = make("img", "");
  image.alt = "";
  image.loading = "lazy";
  image.draggable = false; // or a press that slips would be no press
  // Browsers show no TIFF; its name is enough.
  image.addEventListener("error", () => image.remove());
  image.src = address;
  const button = make("button", "sample", image, make("span", "", fileName(address).replace(/\.\w+$/, "")));
  button.type = "button";
  button.dataset.address = address;
  return button;
}
