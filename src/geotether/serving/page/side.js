// One side of the window: a map with the choice of its model and layer, and the legend.

import { fillSelect, make, show } from "./elements.js";
import { foldButton, legendOf } from "./legend.js";
import { View } from "./view.js";

export const NONE = "none";
export const SIMILARITY = "similarity";

/** A map, its card and the answers that its model gave. */
export class Side {
  /** Handlers: those of `View`, and model(name), layer(id), opacity(number), mask(boolean) when they are chosen. */
  constructor(number, maplibre, parent, options) {
    this.number = number;
    this.handlers = options.handlers;
    this.answer = null; // what the server answered to the query
    this.canvas = make("div", { class: "canvas" });
    this.card = this.makeCard();
    this.section = make("section", { class: "map", id: `map-${number}`, "aria-label": options.name }, this.canvas, this.card);
    parent.append(this.section);
    this.view = new View(maplibre, this.canvas, options);
  }

  makeCard() {
    const n = this.number;
    this.model = make("select", { id: `model-${n}`, "aria-label": "Model", change: () => this.handlers.model(this.model.value) });
    this.layer = make("select", { id: `layer-${n}`, "aria-label": "Layer", change: () => this.handlers.layer(this.layer.value) });
    this.legend = make("div", { id: `legend-${n}`, class: "legends" });
    this.words = make("div", { class: "muted small" });
    this.wordsBox = make("details", { class: "words", hidden: true }, make("summary", { class: "muted small" }, "What it shows"), this.words);
    this.opacity = make("input", {
      id: `opacity-${n}`,
      type: "range",
      min: "0",
      max: "1",
      step: "0.05",
      "aria-label": "Opacity of the layer",
      input: () => this.handlers.opacity(Number(this.opacity.value)),
    });
    this.masked = make("input", { id: `mask-${n}`, type: "checkbox", change: () => this.handlers.mask(this.masked.checked) });
    this.maskRow = make("label", { class: "row check", hidden: true }, this.masked, "fade where it does not apply");
    this.opacityRow = make("div", { class: "opacity", hidden: true }, make("span", { class: "muted small", "aria-hidden": "true" }, "Opacity"), this.opacity);
    this.more = make("div", { class: "more", id: `more-${n}` }, this.wordsBox, this.opacityRow, this.maskRow);
    this.modelRow = make("div", { hidden: true }, this.model);
    this.fold = foldButton(`fold-${n}`, `legend-${n} more-${n}`);
    return make("div", { class: "card", id: `card-${n}` }, make("div", { class: "choices" }, this.modelRow, this.layer, this.fold), this.legend, this.more);
  }

  /** Mark the map as busy until `settle` finds it drawn. */
  begin() {
    this.turn = (this.turn ?? 0) + 1;
    this.section.setAttribute("aria-busy", "true");
  }

  /** Call `done` when the layers are drawn, unless `begin` was called again. */
  async settle(done) {
    const { turn } = this;
    await this.view.ready;
    const { map, overlay, mask } = this.view;
    this.drawn = new Promise((resolve) => {
      const check = () => {
        if (turn === this.turn && !(overlay.isLoaded() && mask.isLoaded())) return;
        map.off("render", check);
        if (turn === this.turn) done?.();
        resolve();
      };
      map.on("render", check);
    });
    map.once("idle", () => {
      if (turn === this.turn && !this.waiting) this.section.setAttribute("aria-busy", "false");
    });
    map.triggerRepaint();
  }

  /** Offer models, of which one is chosen. */
  offerModels(names, chosen) {
    fillSelect(this.model, names.map((name) => [name, name]), chosen);
    show(this.modelRow, names.length > 1);
    this.section.setAttribute("aria-label", names.length > 1 ? `Map of ${chosen}` : "Map");
  }

  /** Offer layers in groups, [[title or null, [{id, title}]]], of which one is chosen. */
  offerLayers(groups, chosen) {
    const options = (layers) => layers.map(({ id, title, disabled }) => make("option", { value: id, disabled: !!disabled }, title));
    this.layer.replaceChildren(...groups.flatMap(([title, layers]) => (title ? [make("optgroup", { label: title }, ...options(layers))] : options(layers))));
    this.layer.value = chosen;
  }

  /**
   * Show a layer as the server describes it, or none.
   *
   * `mask` covers the layer where it does not apply, `extra` are further legends, `waiting` means that an answer is
   * outstanding; `done` is called when the layer is drawn.
   */
  async showLayer(layer, { opacity, mask = null, masked = false, extra = [], waiting = false, done = null }) {
    this.section.dataset.layer = layer?.id ?? NONE;
    this.legend.replaceChildren(...[layer, ...extra].filter((one) => one?.legend).map((one) => {
      const title = one === layer ? null : make("h3", {}, one.title);
      return make("div", {}, title, legendOf(one.legend));
    }));
    const words = [layer?.words, layer?.legend?.note, ...extra.map(({ legend }) => legend.note)].filter(Boolean);
    this.words.replaceChildren(...words.map((sentence) => make("p", {}, sentence)));
    this.opacity.value = String(opacity);
    show(this.opacityRow, !!layer);
    show(this.fold, !!layer || extra.length > 0);
    show(this.wordsBox, words.length > 0);
    show(this.maskRow, !!mask);
    this.masked.checked = masked;
    await this.view.ready;
    const even = (one) => one?.legend?.kind === "classes";
    const tiles = `${layer?.tiles} ${mask && masked ? mask.tiles : ""}`;
    if (tiles !== this.tiles) this.begin();
    this.tiles = tiles;
    this.view.overlay.show(layer?.tiles ?? null, opacity, even(layer));
    this.view.mask.show(mask && masked ? mask.tiles : null, opacity, even(mask));
    this.waiting = waiting;
    this.settle(done);
  }

  remove() {
    this.view.map.remove();
    this.section.remove();
  }
}
