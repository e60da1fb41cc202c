// A coloured layer of the model on a map: raster tiles that change without a blink.

import { request } from "./server.js";

const PROTOCOL = "geotether";
const PREFIX = `${PROTOCOL}://`;
const DEEPEST = 14;
const FADE_MS = 200;
let made = 0;

/** Let MapLibre fetch tiles through `request`, which waits when the server is busy. */
export function registerTiles(maplibre, onRefusal) {
  maplibre.addProtocol(PROTOCOL, async ({ url }, abort) => {
    try {
      const response = await request(url.slice(PREFIX.length), { signal: abort.signal });
      return { data: await response.arrayBuffer() };
    } catch (error) {
      if (error.name !== "AbortError") onRefusal(error);
      throw error;
    }
  });
}

/** Raster tiles between the land and the lines of a map. */
export class Overlay {
  constructor(map, below, still) {
    this.map = map;
    this.below = below;
    this.fade = still ? 0 : FADE_MS;
    this.current = null; // {id, tiles}
  }

  /** Show tiles, a template of addresses, or nothing; `even` if neighbouring colours must not be mixed. */
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
    const address = new URL(tiles.replace(/^\//, ""), document.baseURI).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
    // Tiles of 256 pixels are stretched over 512: the grid behind them is coarser, and four times fewer are asked for.
    this.map.addSource(id, { type: "raster", tiles: [`${PREFIX}${address}`], tileSize: even ? 256 : 512, maxzoom: DEEPEST });
    const paint = {
      "raster-opacity": opacity,
      "raster-opacity-transition": { duration: this.fade },
      "raster-fade-duration": this.fade,
      "raster-resampling": even ? "nearest" : "linear",
    };
    this.map.addLayer({ id, type: "raster", source: id, paint }, this.below);
    return { id, tiles };
  }

  // Keep the former layer until the next one is there.
  retire(id, next) {
    const remove = () => {
      this.map.off("sourcedata", check);
      clearTimeout(timer);
      if (!this.map.getLayer(id)) return;
      this.map.setPaintProperty(id, "raster-opacity", 0);
      setTimeout(() => {
        if (!this.map.getLayer(id)) return;
        this.map.removeLayer(id);
        this.map.removeSource(id);
      }, this.fade + 50);
    };
    const check = () => {
      if (!next || !this.map.getSource(next) || this.map.isSourceLoaded(next)) remove();
    };
    const timer = setTimeout(remove, 5000);
    if (next) this.map.on("sourcedata", check);
    else remove();
  }
}
