// One node: what it is, what is on its disks, and what was done to it.

import { get } from "./api.js";
import { bytes, duration, h, moment, table, words } from "./dom.js";
import { barPlot } from "./plots.js";
import { nodeBadge } from "./states.js";
import { who } from "./session.js";
import { deploymentTable } from "./view_deployments.js";

export async function showNode(place, name) {
  const { node, partitions, held_by: holder, held_by_user: user, deployments } = await get(`/nodes/${encodeURIComponent(name)}`);
  const labels = Object.entries(node.labels ?? {}).map(([key, value]) => `${key}: ${value}`).join(", ");
  const all = [["Cluster", node.cluster], ["MAC address", h("span", { class: "mono" }, node.mac_address)], ["IP address", h("span", { class: "mono" }, node.ip_address)],
    ["Firmware", words((node.firmware ?? "FIRMWARE_BIOS").replace("FIRMWARE_", "").toLowerCase()).toUpperCase()], ["Labels", labels],
    ["Held by", holder ? [h("a", { href: `/${deployments.some((one) => one.id === holder) ? "deployments" : "operations"}/${holder}`, class: "mono" }, holder), ` of ${user}`] : "nobody: it is free"]];
  place.append(h("h1", {}, name),
    h("div", { class: "columns" },
      h("section", { class: "panel", "aria-label": "What it is" },
        h("dl", { class: "facts" }, all.filter(([, value]) => value).flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]))),
      h("section", { class: "panel", "aria-labelledby": "disks" }, h("h2", { id: "disks" }, "Disks"), (node.disks ?? []).map((disk) => showDisk(disk, partitions)))));
  const last = deployments[0];
  if (last) place.append(await showSteps(name, last));
  place.append(h("section", { class: "panel", "aria-labelledby": "history" }, h("h2", { id: "history" }, "History"),
    deploymentTable(deployments, "Nothing was ever deployed here.")));
}

function showDisk(disk, partitions) {
  const strip = h("div", { class: "disk", "aria-hidden": "true" });
  const total = Number(disk.size_bytes) || (disk.partitions ?? []).reduce((sum, one) => sum + Number(one.size_bytes ?? 0), 0) || 1;
  const rows = (disk.partitions ?? []).map((one) => {
    const status = partitions.find((each) => each.device === disk.device && each.partition === one.number);
    const role = (one.role ?? "").replace("PARTITION_ROLE_", "").toLowerCase();
    const part = h("span", { class: status ? "target" : undefined }, `${one.number} ${one.label ?? role}`);
    part.style.setProperty("flex", `${Number(one.size_bytes ?? 0) / total} 1 0`);
    strip.append(part);
    return [h("span", { class: "mono" }, `${disk.device}${/\d$/.test(disk.device) ? "p" : ""}${one.number}`), bytes(one.size_bytes ?? 0), words(role), status ? nodeBadge(status.state) : "",
      status ? [status.environment, status.deployment ? [" · ", h("a", { href: `/deployments/${status.deployment}`, class: "mono" }, status.deployment)] : "", h("div", { class: "small" }, moment(status.time), status.state === "error" ? [": ", status.description] : "")] : one.environment ?? ""];
  });
  return h("div", {}, h("p", { class: "small" }, `${disk.device} · ${bytes(disk.size_bytes ?? 0)}`), strip,
    table(`Partitions of ${disk.device}`, ["Partition", "Size", "For", "State", "What is on it"], rows, { numbers: [1], narrow: [2] }));
}

async function showSteps(name, deployment) {
  const view = await get(`/deployments/${encodeURIComponent(deployment.id)}/view`, { node: name });
  const row = view.rows.find((one) => one[0] === name);
  const bars = Object.entries(view.steps[name] ?? {}).map(([step, value]) => ({ name: words(step), values: [{ kind: "median", value }], text: duration(value) }));
  return h("section", { class: "panel", "aria-labelledby": "last" }, h("h2", { id: "last" }, "Latest deployment"),
    h("p", { class: "row" }, h("a", { href: `/deployments/${deployment.id}`, class: "mono" }, deployment.id), deployment.environment, row ? nodeBadge(row[1]) : "", moment(deployment.created)),
    row?.[7] && row[1] === "error" ? h("p", { class: "failure" }, h("strong", {}, words(row[6])), ` in step ${words(row[2])}. ${row[7]}`) : "",
    who().user ? await showOutputs(name, deployment) : "",
    bars.length ? barPlot("Time of each step on this node", bars, "seconds") : "");
}

async function showOutputs(name, deployment) {
  try {
    const { outputs } = await get(`/deployments/${encodeURIComponent(deployment.id)}/nodes/${encodeURIComponent(name)}/outputs`);
    return outputs.map((one) => h("details", {}, h("summary", {}, `What ${words(one.step)} printed${one.attempt > 1 ? `, attempt ${one.attempt}` : ""}`),
      h("pre", { tabindex: 0 }, one.truncated ? "… " : "", one.text)));
  } catch (error) {
    return h("p", { class: "small faint" }, error.message);
  }
}
