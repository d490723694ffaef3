// Elements, and how values are written for people. Text is only ever set as text.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function s(tag, properties = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

export function width(element, percent) {
  element.style.setProperty("width", `${percent}%`);
  return element;
}

export function words(name) {
  return name.replaceAll("_", " ");
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function clock(seconds) {
  return seconds ? CLOCK.format(new Date(seconds * 1000)) : "";
}

export function moment(seconds) {
  if (!seconds) return "";
  const date = new Date(seconds * 1000);
  return h("time", { datetime: date.toISOString(), title: date.toISOString() }, DATE.format(date));
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = Number(count);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function table(caption, columns, rows, { empty = "Nothing here.", numbers = [], narrow = [] } = {}) {
  if (!rows.length) return h("p", { class: "faint" }, empty);
  const kind = (index) => [numbers.includes(index) ? "number" : "", narrow.includes(index) ? "narrow-off" : ""].join(" ").trim() || undefined;
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map((name, index) => h("th", { scope: "col", class: kind(index) }, name)))),
      h("tbody", {}, rows.map((cells) => h("tr", {},
        cells.map((cell, index) => (index ? h("td", { class: kind(index) }, cell ?? "") : h("th", { scope: "row", class: kind(index) }, cell ?? ""))))))));
}

export function announce(text) {
  document.getElementById("announcement").textContent = text;
}

export function trouble(text) {
  const line = document.getElementById("trouble");
  line.textContent = text;
  line.hidden = !text;
}
