// All deployments, the latest first.

import { get } from "./api.js";
import { duration, h, moment } from "./dom.js";
import { deploymentBadge } from "./states.js";

export function deploymentRow(one) {
  const spent = one.started && one.ended ? duration(one.ended - one.started) : "";
  const name = [h("a", { href: `/deployments/${one.id}`, class: "mono" }, one.id),
    h("div", { class: "small narrow-on" }, `${one.environment} on `, h("span", { class: "mono" }, shortened(one.nodes)))];
  return [name, deploymentBadge(one.state), one.environment,
    h("span", { class: "mono" }, shortened(one.nodes)), one.owner, moment(one.created), h("span", { class: "number" }, spent), one.description];
}

export const COLUMNS = ["Deployment", "State", "Environment", "Nodes", "Owner", "Created", "Took", "How it ended"];
const LONGEST = 60;
const NARROW_OFF = [2, 3, 4, 5, 6, 7];

function shortened(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

export function deploymentTable(rows, empty) {
  const head = COLUMNS.map((name, index) => h("th", { scope: "col", class: NARROW_OFF.includes(index) ? "narrow-off" : undefined }, name));
  if (!rows.length) return h("p", { class: "faint" }, empty);
  const body = h("tbody", {}, rows.map((one) => h("tr", {}, deploymentRow(one).map((cell, index) =>
    h(index ? "td" : "th", { scope: index ? undefined : "row", class: NARROW_OFF.includes(index) ? "narrow-off" : undefined }, cell)))));
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Deployments" },
    h("table", {}, h("caption", { class: "unseen" }, "Deployments, the latest first"), h("thead", {}, h("tr", {}, head)), body));
}

export async function showDeployments(place) {
  const wanted = new URLSearchParams(location.search);
  const state = h("select", { name: "state" }, ["", "waiting", "deploying", "terminated", "error"].map((name) =>
    h("option", { value: name, selected: name === wanted.get("state") }, name || "any state")));
  const owner = h("input", { name: "owner", value: wanted.get("owner") ?? "", placeholder: "anybody", autocomplete: "off" });
  const nodes = h("input", { name: "nodes", value: wanted.get("nodes") ?? "", placeholder: "node-[1-20]", autocomplete: "off", spellcheck: "false" });
  const result = h("div", {});
  const more = h("button", { type: "button", hidden: true, onclick: () => load(true) }, "Show more");
  const message = h("p", { class: "message", role: "alert", hidden: true });
  let rows = [];
  let token = "";

  async function load(further) {
    message.hidden = true;
    const query = new URLSearchParams();
    for (const field of [state, owner, nodes]) if (field.value.trim()) query.set(field.name, field.value.trim());
    history.replaceState(null, "", query.toString() ? `/deployments?${query}` : "/deployments");
    try {
      const answer = await get("/deployments", { ...Object.fromEntries(query), page_token: further ? token : "" });
      rows = further ? [...rows, ...answer.deployments] : answer.deployments;
      token = answer.next_page_token;
      result.replaceChildren(deploymentTable(rows, "No deployment is like this."));
      more.hidden = !token;
    } catch (error) {
      message.textContent = error.message;
      message.hidden = false;
    }
  }

  place.append(h("h1", {}, "Deployments"),
    h("section", { class: "panel" },
      h("form", { class: "row", role: "search", onsubmit: (event) => { event.preventDefault(); load(false); } },
        h("label", {}, "State", state), h("label", {}, "Owner", owner), h("label", {}, "Nodes", nodes), h("button", { type: "submit" }, "Search")),
      message),
    h("section", { class: "panel" }, result, more));
  await load(false);
  const timer = setInterval(() => { if (!document.hidden && rows.length <= 50) load(false); }, 5000);
  return () => clearInterval(timer);
}
