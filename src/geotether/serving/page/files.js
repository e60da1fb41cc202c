// Files dropped on the page: a picture is a query, any other file is a table of points.

import { takesPictures } from "./asking.js";
import { byId, show } from "./elements.js";
import { trouble } from "./messages.js";
import { askFor } from "./search.js";
import { modelOf } from "./session.js";
import { sendPoints } from "./tables.js";

const PICTURE = /\.(png|jpe?g|webp|tiff?)$/i;

/** Accept dropped files. */
export function listen() {
  let inside = 0; // entered elements: leaving one for its child is not leaving the page
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const count = (step) => (event) => {
    if (carries(event)) inside = Math.max(0, inside + step);
    show(byId("drop-here"), inside > 0);
  };
  addEventListener("dragenter", count(1));
  addEventListener("dragleave", count(-1));
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    inside = 0;
    show(byId("drop-here"), false);
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
}

function take(file) {
  if (!file.type.startsWith("image/") && !PICTURE.test(file.name)) sendPoints(file);
  else if (takesPictures()) askFor({ kind: "image", file }, true);
  else trouble(`The model ${modelOf(0).name} was not trained on pictures, so it cannot search by one.`);
}
