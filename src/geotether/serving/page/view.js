// One map: base map, layers of the model, markers of answers, points of a table, and the cross of the keyboard.

import { BASE_SOURCES, FIRST_LINE, paintBasemap, styleOf } from "./basemap.js";
import { make } from "./elements.js";
import { Overlay } from "./overlay.js";
import { isSheet } from "./panel.js";
import { number } from "./words.js";

const POINTS = "points";
const HOME = { center: [12, 24], zoom: 1.2 };
const HOME_ON_PHONES = { center: [12, 20], zoom: 0.7 };
const NEAR_ZOOM = 4;
const GLOBE_SHARE = 0.9;
const TILE_PX = 512;
const EDGE_PX = 40;
const ROOM_PX = { left: 40, right: 60, top: 60, bottom: 40 }; // of markers, and of the tools and choices above the map
const BEHIND_M = 100_000;
const MOVE_MS = 600;
const EMPTY = { type: "FeatureCollection", features: [] };

function home() {
  return isSheet() ? HOME_ON_PHONES : HOME;
}

function move(element, { x, y }) {
  element.style.transform = `translate(${x}px, ${y}px)`;
}

/** A map and what is drawn on it. */
export class View {
  /**
   * Handlers: place(lon, lat) when a place is asked for, marker(rank) when an answer is chosen, hover(rank or null),
   * point(lonlat or null) when the pointer moves, moved(view) when the map has come to rest, baseFailed() when land,
   * borders or names cannot be loaded.
   */
  constructor(maplibre, container, { theme, globe, still, view, name, handlers }) {
    this.maplibre = maplibre;
    this.handlers = handlers;
    this.still = still;
    this.markers = new Map();
    this.container = container;
    const start = view ? { center: [view.lon, view.lat], zoom: view.zoom } : home();
    this.map = new maplibre.Map({
      container,
      style: styleOf(theme, globe),
      ...start,
      minZoom: 0,
      maxZoom: 12,
      attributionControl: false,
      fadeDuration: 0,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      locale: { "Map.Title": `${name}. Arrow keys move it, plus and minus zoom, Enter asks about the centre.` },
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.ready = new Promise((done) => this.map.once("style.load", done)).then(() => this.addLayers());
    this.cross = make("div", { class: "cross", "aria-hidden": "true" });
    this.ghost = make("div", { class: "ghost", "aria-hidden": "true", hidden: true });
    this.tip = make("div", { class: "tip", role: "status", hidden: true });
    container.append(this.cross, this.ghost, this.tip);
    this.listen();
  }

  addLayers() {
    this.mask = new Overlay(this.map, () => FIRST_LINE);
    this.overlay = new Overlay(this.map, () => this.mask.current?.id ?? FIRST_LINE);
    this.map.addSource(POINTS, { type: "geojson", data: EMPTY });
    this.map.addLayer({
      id: POINTS,
      type: "circle",
      source: POINTS,
      paint: {
        "circle-color": ["get", "colour"],
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 1, 3, 6, 6],
        "circle-stroke-color": "#ffffff",
        "circle-stroke-width": 0.7,
      },
    }, "labels");
  }

  listen() {
    const map = this.map;
    map.on("click", (event) => {
      const { lng, lat } = event.lngLat.wrap();
      this.handlers.place(lng, lat);
    });
    map.on("mousemove", (event) => {
      this.handlers.point?.(event.lngLat);
      this.showTip(event);
    });
    map.on("mouseout", () => {
      this.handlers.point?.(null);
      this.tip.hidden = true;
    });
    map.on("error", ({ error, sourceId }) => {
      if (BASE_SOURCES.includes(sourceId)) this.handlers.baseFailed();
      else if (!sourceId?.startsWith("overlay")) console.error(error); // `request` reports those of tiles
    });
    map.on("moveend", () => {
      this.handlers.moved?.(this.state());
      if (this.cross.classList.contains("seen")) this.showTip({ point: map.project(map.getCenter()) });
    });
    const canvas = map.getCanvas();
    canvas.addEventListener("keydown", (event) => {
      this.cross.classList.add("seen");
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      const { lng, lat } = map.getCenter().wrap();
      this.handlers.place(lng, lat);
    });
    canvas.addEventListener("focus", () => this.cross.classList.toggle("seen", canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.cross.classList.remove("seen"));
    canvas.addEventListener("pointerdown", () => this.cross.classList.remove("seen"));
    map.on("move", () => this.placeCross());
    map.on("resize", () => this.placeCross());
  }

  placeCross() {
    move(this.cross, this.map.project(this.map.getCenter()));
  }

  /** The view as {lon, lat, zoom}. */
  state() {
    const { lng, lat } = this.map.getCenter().wrap();
    return { lon: lng, lat, zoom: this.map.getZoom() };
  }

  /** Move at once, without an animation. */
  jump(view) {
    this.map.jumpTo({ center: [view.lon, view.lat], zoom: view.zoom });
  }

  /** Fly to a place, and zoom in if the map shows the whole planet. */
  fly(lon, lat) {
    const aim = { center: [lon, lat], zoom: Math.max(this.map.getZoom(), NEAR_ZOOM) };
    if (this.still) this.map.jumpTo(aim);
    else this.map.flyTo({ ...aim, speed: 1.6 });
  }

  /** Move to a place if it is not visible. */
  bring(lon, lat) {
    if (!this.isSeen(lon, lat)) this.map.easeTo({ center: [lon, lat], duration: this.still ? 0 : MOVE_MS });
  }

  /** Show these places, the most important first, if the first or most of them are out of sight; not all may fit. */
  include(places) {
    const seen = places.filter(({ lon, lat }) => this.isSeen(lon, lat));
    if (!places.length || (seen[0] === places[0] && 2 * seen.length > places.length)) return;
    const [{ lon, lat }] = places;
    if (this.globe) {
      this.map.easeTo({ center: [lon, lat], zoom: this.leastZoom(lat), duration: this.still ? 0 : MOVE_MS });
      return;
    }
    let camera = this.cameraOf(places.slice(0, 1));
    const shown = places.slice(0, 1);
    for (const place of places.slice(1)) {
      const wider = this.cameraOf([...shown, place]);
      if (!wider || wider.zoom < this.leastZoom(0)) continue;
      shown.push(place);
      camera = wider;
    }
    if (camera) this.map.easeTo({ ...camera, duration: this.still ? 0 : MOVE_MS });
  }

  // The centre and zoom that show places in the smallest box, which may cross the antimeridian.
  cameraOf(places) {
    const lons = places.map(({ lon }) => lon).sort((a, b) => a - b);
    const lats = places.map(({ lat }) => lat);
    const gaps = lons.map((lon, i) => (i ? lon - lons[i - 1] : lon + 360 - lons.at(-1)));
    const first = gaps.indexOf(Math.max(...gaps));
    const west = lons[first];
    const east = first ? lons[first - 1] + 360 : lons.at(-1);
    return this.map.cameraForBounds([[west, Math.min(...lats)], [east, Math.max(...lats)]], { padding: ROOM_PX, maxZoom: NEAR_ZOOM });
  }

  isSeen(lon, lat) {
    const copies = Math.round((this.map.getCenter().lng - lon) / 360);
    const { x, y } = this.map.project([lon + 360 * copies, lat]);
    const isBehind = this.map.unproject([x, y]).distanceTo(new this.maplibre.LngLat(lon, lat)) > BEHIND_M; // of the globe
    if (isBehind) return false;
    const { left, right, top, bottom } = this.map.getPadding();
    const { clientWidth, clientHeight } = this.container;
    return x > left + EDGE_PX && x < clientWidth - right - EDGE_PX && y > top + EDGE_PX && y < clientHeight - bottom - EDGE_PX;
  }

  /** Show a box of west, south, east, north. */
  fit([west, south, east, north]) {
    this.map.fitBounds([[west, south], [east, north]], { padding: 40, maxZoom: 6, animate: !this.still });
  }

  /** Room that the panel takes, in pixels. */
  setPadding(padding) {
    this.map.setPadding(padding);
    this.placeCross();
  }

  setTheme(theme) {
    paintBasemap(this.map, theme);
  }

  /** Draw a globe, large enough to fill the window, or a flat map. */
  setGlobe(globe) {
    this.map.setProjection({ type: globe ? "globe" : "mercator" });
    this.globe = globe;
    const zoom = this.leastZoom(this.map.getCenter().lat);
    if (this.map.getZoom() < zoom) this.map.jumpTo({ zoom });
  }

  // The zoom at which a globe, or the height of a flat map, fills the window.
  leastZoom(lat) {
    const { clientWidth, clientHeight } = this.container;
    if (!this.globe) return Math.max(0, Math.log2(clientHeight / TILE_PX));
    const { left, right, top, bottom } = this.map.getPadding();
    const room = Math.min(clientWidth - left - right, clientHeight - top - bottom);
    // A globe has the diameter 512 * 2 ** zoom / pi pixels where its middle is the equator.
    return Math.log2((GLOBE_SHARE * room * Math.PI) / TILE_PX) + Math.log2(Math.cos((lat * Math.PI) / 180));
  }

  /** Mark the place that was asked for, or none. */
  pin(lon, lat) {
    this.pinned?.remove();
    this.pinned = null;
    if (lon == null) return;
    const element = make("div", { class: "pin", "data-role": "pin", "aria-hidden": "true" });
    this.pinned = new this.maplibre.Marker({ element }).setLngLat([lon, lat]).addTo(this.map);
  }

  /** Mark answers by their rank. */
  mark(answers) {
    for (const marker of this.markers.values()) marker.remove();
    this.markers.clear();
    for (const { rank, lon, lat, country } of [...answers].reverse()) {
      const element = make("button", {
        type: "button",
        class: "marker",
        tabindex: "-1",
        "data-rank": rank,
        "aria-label": `Answer ${rank}${country ? `, ${country}` : ""}`,
        click: (event) => {
          event.stopPropagation();
          this.handlers.marker(rank);
        },
        mouseenter: () => this.handlers.hover(rank),
        mouseleave: () => this.handlers.hover(null),
      }, String(rank));
      this.markers.set(rank, new this.maplibre.Marker({ element }).setLngLat([lon, lat]).addTo(this.map));
    }
  }

  /** Emphasise the marker of a rank, or none. */
  emphasise(rank) {
    for (const [one, marker] of this.markers) marker.getElement().classList.toggle("on", one === rank);
  }

  /** Show where the pointer is on the other map. */
  showGhost(lonlat) {
    this.ghost.hidden = !lonlat;
    if (lonlat) move(this.ghost, this.map.project(lonlat));
  }

  /** Draw points of a table (GeoJSON with value and colour), or none. */
  async draw(points) {
    this.hasPoints = !!points?.features.length;
    await this.ready;
    this.map.getSource(POINTS).setData(points ?? EMPTY);
  }

  showTip(event) {
    const found = this.hasPoints && this.map.getLayer(POINTS) ? this.map.queryRenderedFeatures(event.point, { layers: [POINTS] })[0] : null;
    this.tip.hidden = !found;
    if (!found) return;
    const value = found.properties.value;
    this.tip.textContent = typeof value === "number" ? number(value) : String(value ?? "no value");
    move(this.tip, event.point);
  }
}
