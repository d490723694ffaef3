// Starting a deployment: what is wanted, what would be done, and only then the start.

import { Refusal, get } from "./api.js";
import { duration, h, words } from "./dom.js";
import { go } from "./main.js";
import { openLogin, post, who } from "./session.js";

export async function showDeploy(place) {
  place.append(h("h1", {}, "Deploy"));
  const inside = h("div", {});
  inside.style.setProperty("display", "contents");
  place.append(inside);
  if (who().may_change) await showForm(inside);
  else {
    inside.append(h("section", { class: "panel" }, h("p", {}, "Log in to plan and start deployments with your own rights."),
      h("button", { type: "button", class: "primary", onclick: () => openLogin("") }, "Log in")));
  }
}

async function showForm(place) {
  const wanted = new URLSearchParams(location.search);
  const { environments } = await get("/environments");
  const nodes = h("input", { required: true, value: wanted.get("nodes") ?? "", placeholder: "node-[1-20]", autocomplete: "off", spellcheck: "false" });
  const environment = h("select", { required: true }, environments.map((one, index) => h("option", { value: index }, `${one.name} ${one.version} (${one.owner || "public"})`)));
  const device = h("input", { placeholder: "the cluster's default", autocomplete: "off" });
  const partition = h("input", { type: "number", min: 0, max: 128, placeholder: "the cluster's default" });
  const busy = h("select", {}, [["BUSY_POLICY_EXCLUDE", "leave them out"], ["BUSY_POLICY_FAIL", "refuse the whole"]].map(([value, name]) => h("option", { value }, name)));
  const table = h("input", { type: "checkbox" });
  const keys = h("textarea", { rows: 2, placeholder: "ssh-ed25519 AAAA… one a line", spellcheck: "false", class: "mono" });
  const message = h("p", { class: "message", role: "alert", hidden: true });
  const planned = h("div", { "aria-live": "polite" });
  const button = h("button", { type: "submit" }, "Show the plan");

  function spec() {
    const chosen = environments[Number(environment.value)];
    const found = { nodes: nodes.value.trim(), environment_name: chosen.name, environment_version: chosen.version, busy_policy: busy.value, write_partition_table: table.checked };
    if (chosen.owner) found.environment_owner = chosen.owner;
    if (device.value.trim()) found.device = device.value.trim();
    if (partition.value) found.partition = Number(partition.value);
    const lines = keys.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (lines.length) found.authorized_keys = lines;
    return found;
  }

  async function show(event) {
    event.preventDefault();
    message.hidden = true;
    button.disabled = true;
    const asked = spec();
    try {
      const plan = await post("/plan", { spec: asked });
      planned.replaceChildren(showPlan(plan, asked));
    } catch (error) {
      planned.replaceChildren();
      message.textContent = refusal(error);
      message.hidden = false;
    } finally {
      button.disabled = false;
    }
  }

  const form = h("form", { onsubmit: show, oninput: () => planned.replaceChildren() },
    h("div", { class: "fields" }, h("label", {}, "Nodes", nodes), h("label", {}, "Environment", environment), h("label", {}, "Disk", device),
      h("label", {}, "Partition", partition), h("label", {}, "Nodes that are busy", busy), h("label", {}, "SSH keys for root", keys),
      h("label", { class: "check" }, table, "Write the partition table: everything on the disk is lost")),
    message, h("div", { class: "actions" }, button));
  place.replaceChildren(h("section", { class: "panel", "aria-label": "What is wanted" }, form), planned);
}

function refusal(error) {
  const fields = error instanceof Refusal ? Object.entries(error.fields).map(([name, text]) => (error.message.includes(text) ? "" : `${name}: ${text}`)).filter(Boolean) : [];
  return [error.message, ...fields].join(". ");
}

function showPlan(plan, spec) {
  const included = plan.groups.filter((group) => group.included).reduce((sum, group) => sum + group.count, 0);
  // One name for one wish: a second click, or a lost answer, starts no second deployment.
  const request = crypto.randomUUID();
  const message = h("p", { class: "message", role: "alert", hidden: true });
  const button = h("button", { type: "button", class: "primary", disabled: !included, onclick: async () => {
    button.disabled = true;
    try {
      const made = await post("/deployments", { spec, request_id: request });
      go(`/deployments/${made.id}`);
    } catch (error) {
      message.textContent = refusal(error);
      message.hidden = false;
      button.disabled = false;
    }
  } }, `Deploy ${plan.environment} on ${included} ${included === 1 ? "node" : "nodes"}`);
  return h("section", { class: "panel", "aria-labelledby": "plan" }, h("h2", { id: "plan" }, "Plan"),
    h("p", {}, `${plan.environment}, started by ${words(plan.boot_method || "the cluster's method")}. Nothing has been changed yet.`),
    plan.groups.map((group) => (group.included ? showSteps(group) : h("div", { class: "failure" }, h("strong", {}, `${group.count} left out`),
      `: ${words(group.reason)}${group.held_by ? `, held by ${group.held_by}` : ""}`, h("p", { class: "mono" }, group.nodes), h("p", { class: "small" }, group.description)))),
    message, h("div", { class: "actions" }, button));
}

function showSteps(group) {
  return h("div", {}, h("p", {}, h("strong", {}, `${group.count} ${group.count === 1 ? "node" : "nodes"}: `), h("span", { class: "mono" }, group.nodes)),
    h("ol", {}, group.steps.map((step) => h("li", {}, h("strong", {}, words(step.step)), h("span", { class: "small faint" }, ` · at most ${duration(step.timeout)}${step.retries ? `, ${step.retries} more tries` : ""}`),
      h("ul", {}, step.actions.map((action) => h("li", { class: "small" }, action)),
        step.files.map((file) => h("li", { class: "small" }, h("details", {}, h("summary", {}, file.path), h("pre", { tabindex: 0 }, file.text)))))))),
    group.count > 1 ? h("p", { class: "small faint" }, `As it would be on ${group.example}; on the others alike.`) : "");
}
