// The style of a map: land, borders and names of countries from the server, in light or dark colours.

import { addressOf } from "./server.js";

const COLOURS = {
  light: { sea: "#dbe5ea", land: "#f6f4ee", border: "#a9a698", coast: "#8d9296", text: "#3d4348", halo: "#ffffff" },
  dark: { sea: "#0f161c", land: "#222b33", border: "#56616b", coast: "#6c7882", text: "#dbe2e8", halo: "#0f161c" },
};

/** The layer below which coloured layers of the model are inserted. */
export const FIRST_LINE = "coast";

/** Ids of the sources of the base map. */
export const BASE_SOURCES = ["land", "borders", "labels"];

/** A MapLibre style of the base map. */
export function styleOf(theme, globe) {
  const paints = paintsOf(theme);
  const geojson = (name) => ({ type: "geojson", data: addressOf(`/basemap/${name}.geojson`), tolerance: 0.3 });
  return {
    version: 8,
    projection: { type: globe ? "globe" : "mercator" },
    sources: Object.fromEntries(BASE_SOURCES.map((name) => [name, geojson(name)])),
    layers: [
      { id: "sea", type: "background" },
      { id: "land", type: "fill", source: "land", paint: { "fill-antialias": false } },
      { id: "coast", type: "line", source: "land", paint: { "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.4, 5, 1] } },
      { id: "borders", type: "line", source: "borders", paint: { "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.3, 5, 0.9] } },
      {
        id: "labels",
        type: "symbol",
        source: "labels",
        layout: {
          "text-field": ["get", "name"],
          "text-size": ["interpolate", ["linear"], ["zoom"], 0, 10, 5, 14],
          "text-max-width": 7,
          "text-padding": 6,
          "symbol-sort-key": ["-", ["get", "area"]],
        },
        filter: ["<=", ["get", "rank"], ["step", ["zoom"], 2, 2, 3, 3, 4, 4, 5]],
        paint: { "text-halo-width": 1.2, "text-opacity": 0.9 },
      },
    ].map((layer) => ({ ...layer, paint: { ...layer.paint, ...paints[layer.id] } })),
  };
}

/** Change the colours of the base map of a map. */
export function paintBasemap(map, theme) {
  for (const [id, paint] of Object.entries(paintsOf(theme))) {
    for (const [name, value] of Object.entries(paint)) map.setPaintProperty(id, name, value);
  }
}

// Colours of the layers by id.
function paintsOf(theme) {
  const colours = COLOURS[theme];
  return {
    sea: { "background-color": colours.sea },
    land: { "fill-color": colours.land },
    coast: { "line-color": colours.coast },
    borders: { "line-color": colours.border },
    labels: { "text-color": colours.text, "text-halo-color": colours.halo },
  };
}
