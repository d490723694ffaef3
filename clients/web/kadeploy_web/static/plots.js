// Plots as SVG, each with its numbers as a table beside it.

import { h, s, table } from "./dom.js";

const NAMES = 225;
const WIDTH = 720;
const TEXTS = 210;
const ROW = 24;

// Horizontal bars: rows of {name, values: [{kind, value}], text}; later values lie over earlier ones.
export function barPlot(caption, rows, unit) {
  const largest = Math.max(...rows.flatMap((row) => row.values.map((one) => one.value)), 1e-9);
  const space = WIDTH - NAMES - TEXTS;
  const height = rows.length * ROW + 6;
  const plot = s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `${caption}; the numbers are in the table below` });
  rows.forEach((row, index) => {
    const top = index * ROW + 3;
    const name = s("text", { x: NAMES - 10, y: top + 14, "text-anchor": "end" });
    name.textContent = row.name;
    plot.append(name, s("line", { x1: NAMES, x2: NAMES, y1: top - 3, y2: top + ROW - 3, class: "axis" }));
    let end = 0;
    for (const { kind, value } of row.values) {
      const length = (space * value) / largest;
      end = Math.max(end, length);
      plot.append(s("rect", { x: NAMES, y: top + 2, width: Math.max(length, value ? 1.5 : 0), height: ROW - 8, rx: 2, class: kind }));
    }
    const text = s("text", { x: NAMES + end + 7, y: top + 14, class: "faint" });
    text.textContent = row.text;
    plot.append(text);
  });
  return figure(caption, plot, ["", unit], rows.map((row) => [row.name, row.text]));
}

// Upright stacked bars: rows of {name, good, bad}.
export function stackPlot(caption, rows) {
  const height = 190;
  const base = height - 26;
  const largest = Math.max(...rows.map((row) => row.good + row.bad), 1);
  const step = Math.min(70, (WIDTH - 50) / Math.max(rows.length, 1));
  const plot = s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `${caption}; the numbers are in the table below` });
  const top = s("text", { x: 38, y: 16, class: "faint", "text-anchor": "end" });
  top.textContent = String(largest);
  plot.append(top, s("line", { x1: 44, x2: WIDTH, y1: base, y2: base, class: "axis" }));
  rows.forEach((row, index) => {
    const left = 50 + index * step;
    const scale = (base - 12) / largest;
    plot.append(s("rect", { x: left, y: base - row.good * scale, width: step - 12, height: row.good * scale, class: "good" }));
    plot.append(s("rect", { x: left, y: base - (row.good + row.bad) * scale, width: step - 12, height: row.bad * scale, class: "bad" }));
    const name = s("text", { x: left + (step - 12) / 2, y: height - 8, "text-anchor": "middle", class: "faint" });
    name.textContent = row.name;
    plot.append(name);
  });
  return figure(caption, plot, ["Month", "Good", "Failed"], rows.map((row) => [row.name, row.good, row.bad]), [1, 2]);
}

function figure(caption, plot, columns, rows, numbers = [1]) {
  return h("figure", {}, h("figcaption", {}, caption), plot,
    h("details", {}, h("summary", {}, "The numbers"), table(caption, columns, rows, { numbers })));
}
