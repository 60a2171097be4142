// The page of a served world. It asks GET /state for what there is, waits there for the next state, and writes texts
// only: nothing that comes from the world is ever read as HTML.

const PACES = [1, 10, 60, 600, 3600, 36000];
const PAGE = 50;
const STANDINGS = {
  "agree": ["agrees", "good", "✓"],
  "pending": ["pending", "wait", "↻"],
  "overridden": ["overridden", "other", "✎"],
  "cloud-only": ["cloud only", "", "☁"],
  "no-cloud-user": ["not in cloud", "", "–"],
};
const LEVELS = { "error": ["error", "bad", "✕"], "warning": ["warning", "wait", "!"], "information": ["information", "", "i"] };
const OUTCOMES = { "ok": ["ok", "good", "✓"], "failed": ["failed", "bad", "✕"], "crashed": ["crashed", "bad", "✕"] };
const SOURCES = { "synced": "synchronized", "admin-reset": "reset by admin", "cloud": "set in the cloud", "none": "none yet" };
const AGENT = {
  "running": ["running", "good", "✓"], "stopped": ["stopped", "bad", "✕"], "not-installed": ["not installed", "", "–"],
  "elsewhere": ["another process", "good", "✓"], "none": ["none yet", "", "–"],
};
const EFFECTS = [
  ["answers 503, back in 3 min", { "answer": 503, "retry-after": "3m" }, /^cloud/],
  ["answers 429, again in 90 s", { "answer": 429, "retry-after": "90s" }, /^cloud/],
  ["answers 500", { "answer": 500 }, /^cloud/],
  ["denies access", { "fault": "denied" }, /^cloud\.(set|ping|any)/],
  ["times out", { "fail": "timeout" }, /^(cloud|directory)/],
  ["refuses the connection", { "fail": "connection-refused" }, /^(cloud|directory)/],
  ["loses the request", { "lose": "request" }, /./],
  ["loses the answer", { "lose": "response" }, /./],
  ["garbles the answer", { "corrupt": true }, /^(cloud|directory)/],
  ["delivers twice", { "duplicate": true }, /^(cloud|directory)/],
  ["takes 30 s longer", { "delay": "30s" }, /./],
  ["kills the agent before it", { "crash": "before" }, /./],
  ["kills the agent after it", { "crash": "after" }, /./],
];

const $ = (id) => document.getElementById(id);
const ask = { search: "", standing: new Set(Object.keys(STANDINGS)), from: 0, level: new Set(Object.keys(LEVELS)), event: "" };
const drawn = new Map();
const opened = new Set();
let state = null;
let received = 0;
let pacedAt = 1;
let waiting = null;

// --- building blocks

function h(tag, attributes, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") found.addEventListener("click", value);
    else if (value === true) found.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) found.setAttribute(name, value);
  }
  found.append(...children.flat().filter((each) => each !== null && each !== ""));
  return found;
}

function badge(words, fallback) {
  const [text, kind, sign] = words || [fallback, "", "–"];
  return h("span", { "class": `state ${kind}` }, h("span", { "aria-hidden": "true" }, sign), text);
}

// Draws a part anew if what it shows has changed; who was focused in it stays so.
function draw(id, shown, make) {
  const key = JSON.stringify(shown);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  const held = document.activeElement?.dataset?.key;
  const had = held && $(id).contains(document.activeElement);
  $(id).replaceChildren(...make());
  if (had) $(id).querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

const day = (iso) => iso.slice(0, 10);
const clock = (iso) => iso.slice(11, 19);
function when(iso) {
  if (!iso) return "–";
  const text = state && day(iso) === day(state.now) ? clock(iso) : `${day(iso)} ${clock(iso)}`;
  return h("time", { "datetime": iso, "title": `${day(iso)} ${clock(iso)} UTC` }, text);
}
function date(iso) { return h("time", { "datetime": iso, "title": `${day(iso)} ${clock(iso)} UTC` }, day(iso)); }
const spoken = (text) => h("span", { "class": "hidden" }, text);
// A long word in camel case may break between its parts.
const broken = (word) => word.split(/(?<=[a-z])(?=[A-Z])/).flatMap((part, index) => (index ? [h("wbr", {}), part] : [part]));

// --- telling and asking

function tell(text, bad, ...more) {
  $("told").className = bad ? "told bad" : "told";
  $("told").replaceChildren(h("span", {}, text), h("span", { "class": "buttons" }, ...more,
    h("button", { "type": "button", "onclick": quiet }, "Dismiss")));
  $("told").hidden = false;
}
function quiet() { $("told").hidden = true; }

async function call(method, path, body) {
  document.body.classList.add("busy");
  try {
    const answer = await fetch(path, { method, body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body) });
    const told = await answer.json();
    if (answer.ok) { quiet(); return told; }
    const problems = (told.error.problems || []).map((each) => each.hint).filter(Boolean);
    tell([told.error.message, ...problems].join(" – "), true, ...(answer.status === 409 && told.error.code === "agent-elsewhere"
      ? [h("button", { "type": "button", "onclick": () => call("POST", path, { ...body, force: true }) }, "Restore all the same")] : []));
  } catch {
    tell("The world does not answer.", true);
  } finally {
    document.body.classList.remove("busy");
  }
  return null;
}

function question() {
  const query = new URLSearchParams({ from: ask.from, count: PAGE, standing: [...ask.standing], level: [...ask.level] });
  if (ask.search) query.set("search", ask.search);
  if (ask.event) query.set("event", ask.event);
  return query;
}

// Another question: whoever waits for the old one's answer gives up, and asks it at once.
function again() { state = null; waiting?.abort(); }

async function follow() {
  let lost = false;
  for (;;) {
    const query = question();
    if (state && !lost) { query.set("after", state.change); query.set("wait", "25"); }
    waiting = new AbortController();
    try {
      const answer = await fetch(`/state?${query}`, { signal: waiting.signal });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      state = await answer.json();
      received = performance.now();
      if (lost) quiet();
      lost = false;
      show();
      if (state.pace) await new Promise((done) => { setTimeout(done, 250); });
    } catch (error) {
      if (error.name === "AbortError") continue;
      lost = true;
      tell("The world does not answer; asking again.", true);
      await new Promise((done) => { setTimeout(done, 1000); });
    }
  }
}

// --- showing

function show() {
  document.documentElement.dataset.change = state.change;
  const { world, agent, users } = state;
  $("where").textContent = `${world.domains.join(", ")} · ${world.tenant} · profile ${world.profile}`;
  $("run").textContent = state.pace ? "Pause" : "Run";
  $("slower").disabled = !state.pace || state.pace <= PACES[0];
  $("faster").disabled = state.pace >= PACES.at(-1);
  $("pace").textContent = !state.pace ? "time stands still" : state.pace === 1 ? "time runs" : `time runs ${state.pace.toLocaleString("en")} times as fast`;
  tick();
  const today = day(state.now);
  draw("facts", [agent, today], () => facts(agent));
  draw("standings", [users.standings, [...ask.standing]], () => chips("standing", STANDINGS, ask.standing, users.standings));
  draw("levels", [...ask.level], () => chips("level", LEVELS, ask.level));
  draw("rows", [users.rows, today], () => (users.rows.length ? users.rows.map(person) : [nobody(users)]));
  draw("range", [users.found, users.from, users.rows.length, users.total], () => [range(users)]);
  ask.from = users.from;
  $("earlier").disabled = users.from === 0;
  $("further").disabled = users.from + users.rows.length >= users.found;
  draw("events", [state.events, today], () => (state.events.length ? state.events.map(event) : [h("li", { "class": "empty" }, agent.here ? "No such event." : "Events are in the log of the agent, which is a process of its own.")]));
  draw("cycles", [state.cycles, today], () => (state.cycles.length ? state.cycles.flatMap(cycle) : [h("tr", {}, h("td", { "class": "empty", "colspan": "5" }, agent.here ? "No cycle yet." : "The agent's own log tells of its cycles."))]));
  draw("links", [state.links, state.controllers, state.services], () => [...state.links.map(link), ...state.services.map(service), ...state.controllers.map(controller)]);
  draw("faults", state.faults, () => (state.faults.length ? state.faults.map(fault) : [h("li", { "class": "quiet" }, "No faults.")]));
  $("clear-faults").hidden = !state.faults.length;
  draw("snapshots", state.snapshots, () => (state.snapshots.length ? state.snapshots.map(snapshot) : [h("li", { "class": "quiet" }, "None taken.")]));
  wires();
}

function tick() {
  if (!state) return;
  const passed = state.pace ? (performance.now() - received) * state.pace : 0;
  const now = new Date(Date.parse(state.now) + passed).toISOString();
  $("now").textContent = `${now.slice(0, 10)} ${now.slice(11, 19)}`;
  $("now").dateTime = now;
}

function facts(agent) {
  const fact = (name, ...what) => h("div", {}, h("dt", {}, name), h("dd", {}, ...what));
  return [
    fact("Agent", badge(AGENT[agent.state], agent.state)),
    fact("Waiting to go out", String(agent.pending)),
    fact("Next password cycle", when(agent.next.password)),
    fact("Next object cycle", when(agent.next.object)),
    fact("Last heartbeat", when(agent.heartbeat)),
    fact("Health alert", agent.alert === "none" ? "none" : badge([agent.alert, "bad", "!"])),
  ];
}

function chips(kind, words, chosen, counts) {
  return Object.entries(words).map(([key, [text]]) => h("button", {
    "type": "button", "data-key": key, "aria-pressed": chosen.has(key) && chosen.size < Object.keys(words).length ? "true" : "false",
    "onclick": () => choose(kind, words, key),
  }, text, counts ? h("b", {}, counts[key].toLocaleString("en")) : null));
}

// A first choice is for this one alone; further ones add to it; none chosen is all.
function choose(kind, words, key) {
  const all = Object.keys(words);
  let chosen = ask[kind];
  if (chosen.size === all.length) chosen = new Set([key]);
  else if (chosen.has(key)) chosen.delete(key);
  else chosen.add(key);
  ask[kind] = chosen.size ? chosen : new Set(all);
  if (kind === "standing") ask.from = 0;
  again();
}

function person(row) {
  const { directory, tenant } = row;
  const cell = (label, ...what) => h("td", { "data-label": label }, h("div", {}, ...what));
  const flags = (from) => [from.enabled ? null : "disabled", from["must-change"] ? "must change" : null].filter(Boolean);
  const shown = row["display-name"] || row.name;
  return h("tr", {},
    cell("Person", h("bdi", { "class": "name", "title": shown }, shown), h("bdi", { "class": "cell-2", "title": tenant?.upn || directory?.dn }, row.name)),
    cell("On premises", ...(directory
      ? [h("span", { "class": "mono", "title": directory.dn }, label(directory.password, row.name)), " ", ...flags(directory).map((each) => badge([each, "", "–"])),
        h("div", { "class": "cell-2" }, spoken("changed "), when(directory.changed))]
      : [h("span", { "class": "cell-2" }, "not there")])),
    cell("Cloud", ...(tenant
      ? [h("span", { "class": "mono", "title": tenant.upn }, label(tenant.password, row.name)), " ", ...flags(tenant).map((each) => badge([each, "", "–"])),
        h("div", { "class": "cell-2" }, SOURCES[tenant.source] || tenant.source, tenant.expires === "never" ? "" : h("span", {}, ", until ", date(tenant.expires)))]
      : [h("span", { "class": "cell-2" }, "not there")])),
    cell("Cloud password", badge(STANDINGS[row.standing], row.standing)),
    cell("Synchronized", h("span", {}, when(row.synchronized))),
    cell("Last result", h("span", { "class": "cell-2" }, ...broken(row.status || "–"))),
  );
}

// "alice#2" is alice's second password; her name stands beside it already.
function label(password, name) {
  return password.startsWith(`${name}#`) ? `password ${password.slice(name.length)}` : password === "none" ? "no password" : password;
}

function nobody(users) {
  return h("tr", {}, h("td", { "class": "empty", "colspan": "6" }, users.total ? "Nobody fits." : "Nobody is there yet."));
}

function range(users) {
  const last = users.from + users.rows.length;
  const of = users.found === users.total ? `${users.total.toLocaleString("en")} people` : `${users.found.toLocaleString("en")} of ${users.total.toLocaleString("en")} people`;
  return users.rows.length ? `${(users.from + 1).toLocaleString("en")}–${last.toLocaleString("en")} of ${of}` : of;
}

function event(each, index) {
  const [head, ...rest] = each.text.split("\n");
  const key = `${each.time} ${each.id} ${each.text.length} ${state.events.length - index}`;
  let text = h("pre", {}, head);
  if (rest.length) {
    text = h("details", { "open": opened.has(key) }, h("summary", { "data-key": key }, head), h("pre", {}, rest.join("\n")));
    text.addEventListener("toggle", () => (text.open ? opened.add(key) : opened.delete(key)));
  }
  return h("li", {}, h("span", { "class": "mono" }, `${day(each.time)} ${clock(each.time)}`), h("span", {}, badge(LEVELS[each.level], each.level)), h("span", { "class": "mono" }, String(each.id)), text);
}

function cycle(each) {
  const row = h("tr", {}, h("td", { "class": "mono" }, when(each.started)), h("td", {}, each.kind), h("td", {}, badge(OUTCOMES[each.outcome], each.outcome)),
    h("td", { "class": "figure" }, String(each.calls)), h("td", { "class": "figure" }, String(each.passwords)));
  return each.detail ? [row, h("tr", { "class": "why" }, h("td", { "class": "detail", "colspan": "5" }, each.detail))] : [row];
}

function line(what, small, status, ...acts) {
  return h("li", {}, h("span", { "class": "what" }, what, small ? h("small", {}, small) : null), h("span", { "class": "acts" }, status, ...acts));
}

const upness = (up) => badge(up ? ["up", "good", "✓"] : ["down", "bad", "✕"]);
function act(key, text, name, does) {
  return h("button", { "type": "button", "data-key": key, "aria-label": `${text}: ${name}`, "onclick": does }, text);
}
const doing = (what) => () => call("POST", "/actions", what);

function link(each) {
  const name = each.link === "cloud" ? "cloud" : each.link;
  return line(name, "link", upness(each.up), act(`link ${name}`, each.up ? "Cut" : "Mend", `link ${name}`, doing({ "network.set-link": { link: each.link, state: each.up ? "down" : "up" } })));
}

function service(each) {
  const acts = each.service === "adfs"
    ? [act(`service ${each.name}`, each.up ? "Stop" : "Start", each.name, doing({ "adfs.set-farm": { state: each.up ? "down" : "up" } }))] : [];
  return line(each.name, each.detail, upness(each.up), ...acts);
}

function controller(each) {
  const up = each.state === "up";
  const status = badge(up ? (each.behind ? ["behind", "wait", "↻"] : ["up", "good", "✓"]) : [each.state, "bad", "✕"]);
  const [host, ...domain] = each.controller.split(".");
  const several = state.controllers.filter((other) => other.controller.split(".")[0] === host).length > 1;
  const named = several ? each.controller : host;
  return line(host, `controller of ${domain.join(".")}`, status, act(`controller ${each.controller}`, up ? "Stop" : "Start", each.controller,
    doing({ "ad.set-controller": { controller: named, state: up ? "down" : "up" } })));
}

function fault(each) {
  return line(each.on, `${each.does} – ${each.when}`, badge([`fired ${each.fired}`, each.fired ? "wait" : "", each.fired ? "↻" : "–"]));
}

function snapshot(each) {
  return line(h("bdi", {}, each.name), h("span", {}, `${day(each.at)} ${clock(each.at)}`), null,
    act(`restore ${each.name}`, "Restore", each.name, () => restore(each.name)),
    act(`drop ${each.name}`, "Drop", each.name, () => call("POST", "/snapshots", { drop: each.name })));
}

async function restore(name) {
  if (await call("POST", "/snapshots", { restore: name })) tell(`The world is as it was: ${name}.`);
}

function wires() {
  const known = state.wires.filter((each) => state.agent.here || !["directory.bind", "directory.search", "directory.any", "store.commit"].includes(each));
  draw("fault-on", known, () => known.map((each) => h("option", { "value": each, "selected": each === "cloud.set-passwords" }, each)));
  effects();
}

function effects() {
  const on = $("fault-on").value;
  const fitting = EFFECTS.filter(([, rule, wire]) => wire.test(on) && (state.agent.here || !rule.crash));
  draw("fault-does", fitting.map(([text]) => text), () => fitting.map(([text, rule]) => h("option", { "value": JSON.stringify(rule) }, text)));
}

// --- what is done

const pace = (value) => call("POST", "/time", { pace: value });
function run() {
  if (state?.pace) { pacedAt = state.pace; pace(0); } else pace(pacedAt);
}
function step(by) {
  const now = state?.pace || 0;
  const next = by > 0 ? PACES.find((each) => each > now) : PACES.findLast((each) => each < now);
  if (next) pace(next);
}

async function advance(by) {
  const buttons = document.querySelectorAll("[data-advance]");
  const focused = document.activeElement;
  for (const each of buttons) each.disabled = true;
  await call("POST", "/time", { advance: by });
  for (const each of buttons) each.disabled = false;
  focused?.focus();
}

function numbers(field) { return /^[0-9]*$/.test(field.value.trim()) ? field.value.trim() : null; }

$("run").addEventListener("click", run);
$("slower").addEventListener("click", () => step(-1));
$("faster").addEventListener("click", () => step(1));
for (const each of document.querySelectorAll("[data-advance]")) each.addEventListener("click", () => advance(each.dataset.advance));
$("search").addEventListener("input", () => { ask.search = $("search").value; ask.from = 0; again(); });
$("event-id").addEventListener("input", () => { const id = numbers($("event-id")); if (id !== null) { ask.event = id; again(); } });
$("earlier").addEventListener("click", () => { ask.from = Math.max(0, ask.from - PAGE); again(); });
$("further").addEventListener("click", () => { ask.from += PAGE; again(); });
$("fault-on").addEventListener("change", effects);
$("clear-faults").addEventListener("click", () => call("DELETE", "/faults"));
$("fault").addEventListener("submit", (event) => {
  event.preventDefault();
  const times = numbers($("fault-times"));
  if (times === null) { tell("How often? A number, or nothing for always.", true); return; }
  call("POST", "/faults", { on: $("fault-on").value, ...JSON.parse($("fault-does").value), ...(times ? { times: Number(times) } : {}) });
});
$("snapshot").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await call("POST", "/snapshots", { take: $("snapshot-name").value.trim() })) $("snapshot-name").value = "";
});
$("do").addEventListener("submit", async (event) => {
  event.preventDefault();
  const done = await call("POST", "/actions", $("do-text").value);
  if (done) tell(done.done.map((each) => Object.entries(each).map(([name, told]) => `${name}: ${told}`)).join("; "));
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "/") { event.preventDefault(); $("search").focus(); }
  if (event.key === "p") run();
  if (event.key === ".") advance("2m");
});
setInterval(tick, 200);
follow();
