// Numbers in words.

const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const MEANING = {
  place: "The number is the cosine of the two places' vectors: 1 means equal, 0 means nothing in common. Bars show the same for the observations that the model expects at the two places.",
  other: "The number is the cosine between your query and a place: 1 is a perfect match, 0 is unrelated. The best places are listed even if none matches well; compare numbers within one search only.",
};

/** A number with three significant digits. */
export function number(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return String(value ?? "");
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return size < 10000 ? String(value) : WHOLE.format(value);
  return size !== 0 && (size >= 1e6 || size < 1e-3) ? value.toExponential(1) : SHORT.format(value);
}

/** A count, such as 12,345. */
export function count(value) {
  return WHOLE.format(value);
}

/** A distance in kilometres. */
export function distance(km) {
  if (km == null) return "";
  if (km < 1) return "less than 1 km";
  return km < 10 ? `${km.toFixed(1)} km` : `${WHOLE.format(km)} km`;
}

/** A place as 51.97° N, 5.66° E. */
export function place(lon, lat) {
  const part = (value, ends) => `${Math.abs(value).toFixed(2)}° ${ends[value < 0 ? 1 : 0]}`;
  return `${part(lat, "NS")}, ${part(lon, "EW")}`;
}

/** A name from a file or a configuration, such as night_lights, as words. */
export function named(name) {
  return String(name).replaceAll("_", " ");
}

/** Join words as a list: a, b and c. */
export function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
