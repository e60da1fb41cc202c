// A coloured layer of the model on a map: raster tiles that change without a blink.

import { addressOf, request } from "./server.js";

const PROTOCOL = "geotether";
const PREFIX = `${PROTOCOL}://`;
const DEEPEST = 14;
const AHEAD_MS = 4000; // how long a tile waits to be drawn
let made = 0;

/** Let MapLibre fetch tiles through `request`, which waits when the server is busy. */
export function registerTiles(maplibre, onRefusal) {
  maplibre.addProtocol(PROTOCOL, async ({ url }, abort) => {
    try {
      return { data: await bytesOf(url.slice(PREFIX.length), abort.signal) };
    } catch (error) {
      if (error.name !== "AbortError") onRefusal(error);
      throw error;
    }
  });
}

// A tile is requested once for all copies of the world and both maps; the request is aborted when nothing waits for it.
const underway = new Map();

async function bytesOf(url, signal) {
  const tile = underway.get(url) ?? start(url);
  tile.waiting += 1;
  signal.addEventListener("abort", () => {
    tile.waiting -= 1;
    if (tile.waiting > 0) return;
    tile.stop.abort();
    drop(url, tile);
  });
  const bytes = await tile.bytes;
  drop(url, tile);
  return bytes.slice(0);
}

function start(url) {
  const stop = new AbortController();
  const bytes = request(url, { signal: stop.signal }).then((response) => response.arrayBuffer());
  const tile = { bytes, stop, waiting: 0 };
  bytes.catch(() => drop(url, tile));
  underway.set(url, tile);
  return tile;
}

function drop(url, tile) {
  if (underway.get(url) === tile) underway.delete(url);
}

// MapLibre asks for tiles when it draws the next frame; without a graphics card that takes long.
function startAhead(map, template, tileSize) {
  for (const { canonical } of map.coveringTiles({ tileSize, minzoom: 0, maxzoom: DEEPEST, roundZoom: true })) {
    const url = template.replace(/\{([zxy])\}/g, (_, name) => canonical[name]);
    if (underway.has(url)) continue;
    const tile = start(url);
    setTimeout(() => tile.waiting || drop(url, tile), AHEAD_MS);
  }
}

/** Raster tiles between the land and the lines of a map. */
export class Overlay {
  /** `below()` is the id of the layer that covers it. */
  constructor(map, below) {
    this.map = map;
    this.below = below;
    this.current = null; // {id, tiles, opacity}
  }

  /** Whether all visible tiles are loaded. */
  isLoaded() {
    return !this.current || (this.map.getSource(this.current.id) && this.map.isSourceLoaded(this.current.id));
  }

  /** Show tiles from a template of addresses, or none; `even` turns interpolation of colours off. */
  show(tiles, opacity, even = false) {
    if (this.current?.tiles === tiles) {
      if (this.current && opacity !== this.current.opacity) this.setOpacity(opacity);
      return;
    }
    const old = this.current;
    this.current = null;
    if (tiles) this.current = { ...this.add(tiles, opacity, even), opacity };
    if (old) this.retire(old.id, this.current?.id);
  }

  setOpacity(opacity) {
    if (!this.current) return;
    this.current.opacity = opacity;
    this.map.setPaintProperty(this.current.id, "raster-opacity", opacity);
  }

  add(tiles, opacity, even) {
    made += 1;
    const id = `overlay-${made}`;
    const address = addressOf(tiles).replaceAll("%7B", "{").replaceAll("%7D", "}");
    // Tiles of 256 pixels are stretched over 512: the grid behind them is coarser, and a quarter of the requests is enough.
    const tileSize = even ? 256 : 512;
    startAhead(this.map, address, tileSize);
    this.map.addSource(id, { type: "raster", tiles: [`${PREFIX}${address}`], tileSize, maxzoom: DEEPEST });
    const paint = {
      "raster-opacity": opacity,
      "raster-opacity-transition": { duration: 0 },
      "raster-fade-duration": 0,
      "raster-resampling": even ? "nearest" : "linear",
    };
    this.map.addLayer({ id, type: "raster", source: id, paint }, this.below());
    return { id, tiles };
  }

  // Keep the former layer until the next one is loaded.
  retire(id, next) {
    const remove = () => {
      this.map.off("sourcedata", check);
      clearTimeout(timer);
      if (!this.map.getLayer(id)) return;
      this.map.removeLayer(id);
      this.map.removeSource(id);
    };
    const check = () => {
      if (!next || !this.map.getSource(next) || this.map.isSourceLoaded(next)) remove();
    };
    const timer = setTimeout(remove, 5000);
    if (next) this.map.on("sourcedata", check);
    else remove();
  }
}
