// History: time per step, deployments per month, and failures per node and month.

import { get } from "./api.js";
import { duration, h, table, words } from "./dom.js";
import { barPlot, stackPlot } from "./plots.js";

const PERIODS = [["30", "30 days"], ["90", "90 days"], ["365", "a year"], ["", "all"]];
const DAY = 86400;
const WORST = 40;

export async function showStatistics(place) {
  const wanted = new URLSearchParams(location.search);
  const period = h("select", { name: "days" }, PERIODS.map(([days, name]) => h("option", { value: days, selected: days === (wanted.get("days") ?? "365") }, name)));
  const nodes = h("input", { name: "nodes", value: wanted.get("nodes") ?? "", placeholder: "all nodes", autocomplete: "off", spellcheck: "false" });
  const message = h("p", { class: "message", role: "alert", hidden: true });
  const result = h("div", { class: "columns wide" });
  const below = h("div", {});

  async function load() {
    message.hidden = true;
    const query = new URLSearchParams();
    if (period.value !== "365") query.set("days", period.value);
    if (nodes.value.trim()) query.set("nodes", nodes.value.trim());
    history.replaceState(null, "", query.toString() ? `/statistics?${query}` : "/statistics");
    const since = period.value ? Math.floor(Date.now() / 1000) - Number(period.value) * DAY : "";
    try {
      const [all, rates] = await Promise.all([
        get("/statistics", { nodes: nodes.value.trim(), since }),
        get("/failure-rates", { nodes: nodes.value.trim() }),
      ]);
      result.replaceChildren(...plots(all));
      below.replaceChildren(heat(rates));
    } catch (error) {
      message.textContent = error.message;
      message.hidden = false;
    }
  }

  place.append(h("h1", {}, "Statistics"),
    h("section", { class: "panel" }, h("form", { class: "row", role: "search", onsubmit: (event) => { event.preventDefault(); load(); } },
      h("label", {}, "Period", period), h("label", {}, "Nodes", nodes), h("button", { type: "submit" }, "Show")), message),
    result, below);
  period.addEventListener("change", load);
  await load();
}

function plots(all) {
  const steps = all.steps.map((one) => ({
    name: words(one.step),
    values: [{ kind: "maximum", value: one.maximum }, { kind: "median", value: one.median }],
    text: `${duration(one.median)}, at most ${duration(one.maximum)}${one.failures ? `, ${one.failures} failed` : ""}`,
  }));
  const months = all.months.slice(-12).map((one) => ({ name: one.month, good: one.deployments - one.failed, bad: one.failed }));
  const worst = all.nodes.filter((one) => one.failures).sort((a, b) => b.failures / b.deployments - a.failures / a.deployments || b.failures - a.failures).slice(0, WORST);
  return [
    h("section", { class: "panel" }, h("h2", {}, "Time per step"), steps.length ? barPlot("Median and longest time of each step on a node", steps, "time") : h("p", { class: "faint" }, "No step has ended yet.")),
    h("section", { class: "panel" }, h("h2", {}, "Deployments per month"), months.length ? stackPlot("Good deployments below, failed ones above", months) : h("p", { class: "faint" }, "No deployment has ended yet.")),
    h("section", { class: "panel" }, h("h2", {}, "Nodes that fail most"), table("Nodes that fail most", ["Node", "Failed", "Deployments", "Rate"],
      worst.map((one) => [h("a", { href: `/nodes/${encodeURIComponent(one.node)}` }, one.node), one.failures, one.deployments, percent(one.failures, one.deployments)]), { numbers: [1, 2, 3], empty: "No node has failed." })),
  ];
}

function heat(rates) {
  if (!rates.nodes.length) return h("section", { class: "panel" }, h("h2", {}, "Failure rate per node and month"), h("p", { class: "faint" }, "No node has failed."));
  const cell = (pair) => {
    if (!pair || !pair[0]) return h("td", {}, h("span", { class: "unseen" }, "none"));
    const rate = pair[1] / pair[0];
    const step = rate === 0 ? 0 : rate <= 0.1 ? 1 : rate <= 0.34 ? 2 : 3;
    return h("td", { class: `h${step}` }, percent(pair[1], pair[0]), h("span", { class: "unseen" }, ` of ${pair[0]}`));
  };
  return h("section", { class: "panel" }, h("h2", {}, "Failure rate per node and month"),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Failure rate per node and month" },
      h("table", { class: "heat" }, h("caption", { class: "unseen" }, "Failure rate per node and month, the worst nodes first"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Node"), rates.months.map((month) => h("th", { scope: "col" }, month)))),
        h("tbody", {}, rates.nodes.map((one) => h("tr", {}, h("th", { scope: "row" }, h("a", { href: `/nodes/${encodeURIComponent(one.node)}` }, one.node)), one.months.map(cell)))))));
}

function percent(part, whole) {
  return whole ? `${Math.round((100 * part) / whole)} %` : "";
}
