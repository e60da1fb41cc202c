// Elements made from names, attributes and children. Texts become text nodes, never markup.

/** The element of the page with an id. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Make an element. Attributes that are functions become listeners, booleans are set or left out,
 * `data` becomes data-attributes and `vars` custom properties of CSS.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "vars") for (const [key, one] of Object.entries(value)) element.style.setProperty(`--${key}`, one);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

/** Make options of a select from [value, text] pairs and keep what was chosen if it is still there. */
export function fillSelect(select, pairs, chosen = select.value) {
  select.replaceChildren(...pairs.map(([value, text, disabled]) => make("option", { value, disabled: !!disabled }, text)));
  if (pairs.some(([value]) => value === chosen)) select.value = chosen;
}

/** Show or hide an element. */
export function show(element, shown = true) {
  element.hidden = !shown;
}
