// Draws the searches that stand in #data. Every text comes from a model or a user and is only ever set as text.
"use strict";
const $ = id => document.getElementById(id);
const SEARCHES = JSON.parse($("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const FONT = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace";
let gap = 26;                          // room for an edge between columns
let pill = 21, font = 11, character;   // height of a node, size of its label, width of a character

let search, mode = "tree", time = 0, picked = null, drawn = [], player = null;
let view = {x: 0, y: 0, k: 1}, world = {w: 1, h: 1};

function el(name, attributes = {}, parent = null, text = null) {
  const made = name.startsWith("svg:") ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const line = text => text.replace(/\n$/, "").replace(/\n/g, " ⏎ ");
const cut = (text, width) => text.length <= width ? text : text.slice(0, Math.max(width - 1, 1)) + "…";
const number = x => typeof x === "string" ? x : x === undefined || x === null ? "–" : Math.abs(x) >= 1e4 ? x.toExponential(2) : (+x.toFixed(3)).toString();
const percent = x => x >= .995 ? "100 %" : x >= .0995 ? Math.round(100 * x) + " %" : (100 * x).toFixed(1) + " %";

// -- colour: how a node ranks among all of its search ------------------------------------------------------------

let stops = [], low = 0, high = 1;
function readColours() {
  stops = [0, 1, 2, 3, 4].map(i => css("--c" + i)).map(c => [1, 3, 5].map(k => parseInt(c.slice(k, k + 2), 16)));
}
function scaleColours() {
  const ranks = search.nodes.map(n => n.rank).filter(r => r !== undefined).sort((a, b) => a - b);
  const at = q => ranks.length ? ranks[Math.min(ranks.length - 1, Math.floor(q * ranks.length))] : 0;
  [low, high] = [at(.02), at(.98)];
}
function mix(t) {
  const x = Math.min(Math.max(t, 0), 1) * (stops.length - 1), i = Math.min(Math.floor(x), stops.length - 2);
  return stops[i].map((c, k) => Math.round(c + (stops[i + 1][k] - c) * (x - i)));
}
const rgb = c => `rgb(${c.join()})`;
function inkOn(c) { return .299 * c[0] + .587 * c[1] + .114 * c[2] > 140 ? "#16212b" : "#f4f8fa"; }
function colour(node) {
  if (node.rank === undefined) return mix(0);
  return mix(high > low ? (node.rank - low) / (high - low) : .5);
}

// -- the tree ------------------------------------------------------------------------------------------------------

function drawTree() {
  const stage = $("stage").getBoundingClientRect(), nodes = search.nodes;
  const columns = 1 + Math.max(...nodes.map(n => n.column)), rows = 1 + Math.max(...nodes.map(n => n.row));
  const left = 96, top = 58, tall = stage.height - 44 - top - 20;
  const step = Math.max(Math.min(tall / rows, 34), 15.5), shrunk = Math.min(1, tall / (rows * step));
  pill = Math.min(21, step - 2.5);
  type(Math.min(11, pill * .68));
  gap = stage.width / columns < 150 ? 15 : 26;
  const longest = Math.max(...nodes.map(n => line(n.text).length), 6) * character + 16;
  const room = (stage.width / shrunk - left - 60) / columns;
  const width = Math.max(Math.min(longest + gap, room), 90), wide = width - gap;
  world = {w: left + columns * width + 46, h: top + rows * step + 20};
  const place = n => [left + n.column * width, top + n.row * step];
  const g = $("view"), edges = el("svg:g", {}, g), heads = el("svg:g", {}, g);
  const middle = top + (rows - 1) * step / 2;
  root(el("svg:g", {}, g), middle);
  columnHeads(heads, columns, c => left + c * width, top - 36, width);
  drawn = nodes.map((node, i) => {
    const [x, y] = place(node), above = node.parent === undefined ? null : nodes[node.parent];
    const [px, py] = above ? place(above) : [64 - wide, middle];
    const x1 = px + wide, bend = (x - x1) / 2;
    const edge = el("svg:path", {class: "edge" + (node.share ? " answer" : ""), d: `M${x1} ${py}C${x1 + bend} ${py} ${x - bend} ${y} ${x} ${y}`}, edges);
    if (node.share) edge.style.strokeWidth = 1.3 + 4.5 * node.share;
    const group = pillOf(node, x, y, wide, el("svg:g", {class: "node"}, g));
    group.addEventListener("pointerenter", () => { if (picked === null) details(i); });
    group.addEventListener("click", event => { event.stopPropagation(); pick(picked === i ? null : i); });
    return {node, group, edge};
  });
}

function type(size) {
  font = size;
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${size}px ${FONT}`;
  character = pen.measureText("m".repeat(100)).width / 100;
  $("view").style.fontSize = size + "px";
}

function root(g, y) {
  el("svg:rect", {x: 10, y: y - pill / 2, width: 54, height: pill, rx: 10.5, fill: css("--own")}, g);
  const label = el("svg:text", {x: 37, y: y + 4, "text-anchor": "middle", class: "sub"}, g, "start");
  label.style.fill = css("--soft");
}

function columnHeads(g, columns, x, y, width) {
  const counts = Array.from({length: columns}, () => ({nodes: 0, resampled: 0, pruned: 0}));
  for (const n of search.nodes) {
    const c = counts[n.column];
    c.nodes += 1;
    c.resampled += n.decisions.some(d => d[1] === "resample") ? 1 : 0;
    c.pruned += n.decisions.some(d => d[1] === "prune") ? 1 : 0;
  }
  counts.forEach((c, i) => {
    el("svg:text", {x: x(i) + 2, y, class: "head"}, g, `step ${i + 1}`);
    const all = `${c.nodes} node${c.nodes > 1 ? "s" : ""}`, what = [all, c.resampled && `${c.resampled} kept`, c.pruned && `${c.pruned} pruned`];
    const whole = what.filter(Boolean).join(" · ");
    el("svg:text", {x: x(i) + 2, y: y + 13, class: "sub"}, g, whole.length * 5.6 < width ? whole : all);
  });
}

function pillOf(node, x, y, width, g) {
  const fill = colour(node);
  el("svg:rect", {x, y: y - pill / 2, width, height: pill, rx: 5.5, fill: rgb(fill), class: "pill"}, g);
  const copies = lastCopies(node, Infinity), room = width - 12 - (node.status === "dead" ? 12 : 0);
  const text = line(node.text) || (node.value !== undefined ? "→ " + node.value : "·");
  el("svg:text", {x: x + 7, y: y + font * .36, class: "label"}, g, cut(text, Math.floor(room / character))).style.fill = inkOn(fill);
  if (node.status === "dead") el("svg:text", {x: x + width - 12, y: y + 4, class: "cross"}, g, "×");
  if (node.share && node.decisions.some(d => d[1] === "return"))
    el("svg:text", {x: x + width + 8, y: y + 4, class: "share"}, g, percent(node.share));
  if (copies > 1) {
    const label = "×" + copies, w = 8 + 5.4 * label.length;
    el("svg:rect", {x: x + width - w + 5, y: y - pill / 2 - 5, width: w, height: 11, rx: 6, class: "badge"}, g);
    el("svg:text", {x: x + width - w / 2 + 5, y: y - pill / 2 + 3.4, "text-anchor": "middle", class: "count"}, g, label);
  }
  return g;
}

function lastCopies(node, now) {
  const given = node.decisions.filter(d => d[1] === "resample" && d[0] <= now);
  return given.length ? given[given.length - 1][2] || 0 : 0;
}

function showMoment() {
  for (const {node, group, edge} of mode === "tree" ? drawn : []) {
    const born = node.time < time, done = d => d[0] < time;
    group.classList.toggle("unborn", !born);
    edge.classList.toggle("unborn", !born);
    group.classList.toggle("pruned", node.decisions.some(d => done(d) && d[1] === "prune"));
    group.classList.toggle("dead", node.status === "dead");
    const returned = node.share && time >= search.events;
    group.classList.toggle("answer", Boolean(returned && node.decisions.some(d => d[1] === "return")));
    edge.classList.toggle("answer", Boolean(returned));
    for (const mark of group.querySelectorAll(".badge,.count")) mark.classList.toggle("unborn", lastCopies(node, time - 1) < 2);
    for (const mark of group.querySelectorAll(".share")) mark.classList.toggle("unborn", !returned);
  }
  $("time").value = time;
  $("moment").textContent = time >= search.events ? `${search.events} events · the whole search` : said(time - 1);
}

// -- time ----------------------------------------------------------------------------------------------------------

let happened = [];
function chronicle() {
  happened = [];
  search.nodes.forEach((n, i) => {
    happened[n.time] = {kind: {open: "expand", finished: "finish", dead: "die"}[n.status], node: i};
    for (const [at, kind, count, reason] of n.decisions) happened[at] = {kind, node: i, count, reason};
  });
  $("time").max = search.events;
}
const WORDS = {expand: "reached", finish: "finished", die: "died", prune: "pruned", resample: "kept", return: "returned"};
const TINT = {expand: "--c2", finish: "--c4", die: "--dead", prune: "--faint", resample: "--resample", return: "--answer"};
function said(at) {
  const event = happened[at];
  if (!event) return "start";
  const copies = event.count > 1 ? ` ×${event.count}` : "";
  return `event ${at + 1} of ${search.events} · ${WORDS[event.kind]}${copies} · ${cut(line(search.nodes[event.node].text) || "node " + event.node, 26)}`;
}
function drawTicks() {
  const canvas = $("ticks"), scale = devicePixelRatio || 1, w = canvas.clientWidth;
  canvas.width = w * scale; canvas.height = 14 * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  happened.forEach((event, i) => {
    pen.fillStyle = css(TINT[event.kind]);
    pen.fillRect(8 + (w - 16) * (i + 1) / search.events - 1, {expand: 6, finish: 2}[event.kind] ?? 3, Math.max(1, Math.min(3, w / search.events - 1)), 10);
  });
}
function play() {
  if (player) { clearInterval(player); player = null; $("play").textContent = "▶"; return; }
  if (time >= search.events) time = 0;
  $("play").textContent = "❚❚";
  player = setInterval(() => {
    time = Math.min(time + Math.max(1, Math.round(search.events / 200)), search.events);
    showMoment();
    if (time >= search.events) play();
  }, Math.max(30, Math.min(220, 12000 / search.events)));
}

// -- shared tokens -------------------------------------------------------------------------------------------------

function drawTokens() {
  const stage = $("stage").getBoundingClientRect(), segments = search.segments, g = $("view");
  type(11);
  if (!segments.length) {
    world = {w: 480, h: 120};
    el("svg:text", {x: 20, y: 60, class: "sub"}, g, "no model wrote text in this search, so there are no tokens to share");
    return;
  }
  const length = Math.max(...segments.map(s => s[0] + s[1])), rows = Math.max(...segments.map(s => s[2] + s[3]));
  const most = Math.max(...segments.map(s => s[4]));
  const unit = Math.max((stage.width - 60) / length, 7), step = Math.max(Math.min((stage.height - 160) / rows, 30), 16);
  const left = 16, top = 40;
  world = {w: left + length * unit + 30, h: top + rows * step + 50};
  for (let t = 0; t <= length; t += [1, 5, 10, 25, 50, 100, 250, 500, 1000].find(d => length / d <= 14) || 2000)
    el("svg:text", {x: left + t * unit, y: top - 10, class: "sub"}, g, t ? String(t) : "token 0");
  drawn = segments.map(([start, size, first, span, paths, text]) => {
    const group = el("svg:g", {class: "segment"}, g), shade = paths > 1 ? mix(.25 + .75 * Math.log(paths) / Math.log(Math.max(most, 2))) : null;
    const x = left + start * unit, y = top + first * step, w = size * unit, h = span * step;
    const rect = el("svg:rect", {x, y, width: w, height: h, rx: 3, fill: shade ? rgb(shade) : css("--own")}, group);
    const label = el("svg:text", {x: x + 6, y: y + h / 2 + 4}, group, cut(line(text), Math.floor((w - 10) / character)));
    label.style.fill = shade ? inkOn(shade) : css("--soft");
    if (w < 22) label.remove();
    rect.addEventListener("pointermove", event => tip(event, `${line(text)}\n${size} token${size > 1 ? "s" : ""}, ${paths > 1 ? `computed once for ${paths} paths` : "of one path"}`));
    rect.addEventListener("pointerleave", () => { $("tip").hidden = true; });
    return {group};
  });
}

function tip(event, text) {
  const box = $("tip"), stage = $("stage").getBoundingClientRect();
  box.hidden = false;
  box.textContent = text;
  box.style.left = Math.min(event.clientX - stage.left + 14, stage.width - box.offsetWidth - 8) + "px";
  box.style.top = Math.min(event.clientY - stage.top + 16, stage.height - box.offsetHeight - 8) + "px";
}

// -- the panel -----------------------------------------------------------------------------------------------------

function panel() {
  const answers = $("answers"), about = $("facts");
  answers.replaceChildren(); about.replaceChildren();
  if (search.answers.length) el("h2", {}, answers, "answers");
  for (const [text, weight] of search.answers) {
    const row = el("div", {class: "answer-row"}, answers), top = el("div", {class: "top"}, row);
    el("span", {}, top, percent(weight));
    el("b", {style: `width:${100 * weight}%`}, el("div", {class: "bar"}, top));
    el("code", {}, row, text);
    row.addEventListener("click", () => {
      const at = search.nodes.findIndex(n => n.share && n.value !== undefined && line(n.value) === text);
      if (at >= 0) { choose("tree"); pick(at); centre(at); }
    });
  }
  if (search.more) el("div", {class: "hint"}, answers, `and ${search.more} more`);
  if (search.facts.length) {
    el("h2", {}, about, "this run");
    const list = el("dl", {}, about);
    for (const [label, text] of search.facts) { el("dt", {}, list, label); el("dd", {}, list, text); }
  }
  for (const text of search.warnings) el("div", {class: "warning"}, about, text);
  if (mode === "tokens") ledger(about);
  details(picked);
}

function ledger(about) {
  const once = search.segments.reduce((sum, s) => sum + s[1], 0);
  const apart = search.segments.reduce((sum, s) => sum + s[1] * s[4], 0);
  if (!once) return;
  el("h2", {}, about, "drawn tokens on all paths");
  bars(about, [[once, "--c3", `${once} kept once`], [apart - once, "--c1", `${apart - once} shared: read without being kept or computed again`]]);
  el("div", {}, about, `${(apart / once).toFixed(1)} × fewer than one copy for each path`);
  const cost = search.ledger, forwarded = cost.forwarded_tokens || 0, shared = cost.shared_tokens || 0;
  if (!forwarded) return;
  el("h2", {}, about, "the whole run, prompts and rewards included");
  bars(about, [[forwarded, "--c3", `${forwarded.toLocaleString()} went through the model`], [shared, "--c1", `${shared.toLocaleString()} found in the tree`],
    [cost.recomputed_tokens || 0, "--dead", `${cost.recomputed_tokens || 0} of them computed again after eviction`]]);
}

function bars(parent, parts) {
  const total = parts.reduce((sum, p) => sum + p[0], 0), bar = el("div", {class: "ledger"}, parent), list = el("dl", {}, parent);
  for (const [amount, tint, text] of parts.filter(p => p[0])) {
    el("b", {style: `width:${100 * amount / total}%;background:var(${tint})`}, bar);
    el("dt", {style: `color:var(${tint})`}, list, "■");
    el("dd", {}, list, text);
  }
}

function details(i) {
  const box = $("details");
  box.replaceChildren();
  if (i === null || i === undefined || mode !== "tree") {
    el("div", {class: "hint"}, box, mode === "tree" ? "Hover or click a node to read its path. Scroll zooms, dragging pans, space plays the search."
      : "Each box is a run of tokens. The darker, the more paths go through it; grey ones belong to a single path.");
    return;
  }
  const node = search.nodes[i], path = [];
  for (let at = i; at !== undefined; at = search.nodes[at].parent) path.unshift(search.nodes[at]);
  el("h2", {}, box, `node ${i} · step ${node.column + 1}`);
  const steps = el("div", {class: "path mono"}, box);
  for (const step of path) el("div", {}, steps, step.text.replace(/\n$/, "") || "·");
  const list = el("dl", {}, box), fact = (label, text) => { el("dt", {}, list, label); el("dd", {}, list, text); };
  fact("state", node.status === "open" && node.decisions.some(d => d[1] === "prune") ? "pruned" : node.status);
  if (node.reason) fact("reason", node.reason);
  if (node.value !== undefined) fact("returns", node.value);
  fact("log weight", number(node.logWeight));
  if (node.heuristic !== undefined) fact("heuristic", `${number(node.heuristic)}  (reward ${number(Math.exp(node.heuristic))})`);
  if (node.logProb !== undefined) fact("log p", number(node.logProb));
  if (node.tokens) fact("tokens", node.tokens);
  if (node.share) fact("of the result", percent(node.share));
  el("h2", {}, box, "what happened");
  const tell = (at, text) => { const row = el("div", {class: "happened"}, box); el("b", {}, row, at + 1); row.append(text); };
  tell(node.time, WORDS[{open: "expand", finished: "finish", dead: "die"}[node.status]]);
  for (const [at, kind, count, reason] of node.decisions)
    tell(at, WORDS[kind] + (kind === "resample" && count !== null ? `, ${count} ${count === 1 ? "copy goes" : "copies go"} on` : count > 1 ? ` ×${count}` : "") + (reason ? `: ${reason}` : ""));
}

function pick(i) {
  picked = i;
  drawn.forEach(({group}, k) => group.classList.toggle("picked", k === i));
  details(i);
}

function legend() {
  const box = $("legend");
  box.replaceChildren();
  const item = style => { const span = el("span", {}, box); if (style) el("i", {style}, span); return span; };
  const ramp = `linear-gradient(90deg,${[0, .25, .5, .75, 1].map(t => rgb(mix(t))).join()})`;
  if (mode === "tokens") {
    const span = item(); span.append("read by one path");
    const scale = item(); el("span", {class: "ramp", style: `background:${ramp}`}, scale); scale.append("by many");
    return;
  }
  const span = item();
  span.append(number(low)); el("span", {class: "ramp", style: `background:${ramp}`}, span); span.append(`${number(high)}  log weight + heuristic`);
  const has = kind => search.nodes.some(n => n.decisions.some(d => d[1] === kind));
  if (has("return")) item("border-color:var(--answer)").append("returned");
  if (has("prune")) item("border:1.5px dashed var(--faint);opacity:.6").append("pruned");
  if (search.nodes.some(n => n.status === "dead")) item("border-color:var(--dead)").append("dead");
  if (has("resample")) item("background:var(--resample);width:16px;border-radius:6px").append("copies after resampling");
}

// -- looking around ------------------------------------------------------------------------------------------------

function move() {
  $("view").setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
  $("view").classList.toggle("far", view.k * font < 5.2);
}
function fit() {
  const stage = $("stage").getBoundingClientRect(), k = Math.min(1.15, stage.width / world.w, (stage.height - 44) / world.h);
  view = {k, x: Math.max((stage.width - world.w * k) / 2, 4), y: Math.max((stage.height - 44 - world.h * k) / 2, 4)};
  move();
}
function zoom(factor, x, y) {
  const k = Math.min(Math.max(view.k * factor, .02), 8);
  view = {k, x: x - (x - view.x) * k / view.k, y: y - (y - view.y) * k / view.k};
  move();
}
function centre(i) {
  const stage = $("stage").getBoundingClientRect(), box = drawn[i].group.getBBox(), k = Math.max(view.k, .9);
  view = {k, x: stage.width / 2 - (box.x + box.width / 2) * k, y: stage.height / 2 - (box.y + box.height / 2) * k};
  move();
}

const stage = $("stage");
stage.addEventListener("wheel", event => {
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? .05 : .0015)), event.clientX - box.left, event.clientY - box.top);
}, {passive: false});
const fingers = new Map();
let dragged = false;
stage.addEventListener("pointerdown", event => { fingers.set(event.pointerId, event); dragged = false; });
addEventListener("pointermove", event => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  fingers.set(event.pointerId, event);
  const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
  if (fingers.size === 2) {
    const other = [...fingers.values()].find(f => f.pointerId !== event.pointerId), box = stage.getBoundingClientRect();
    const apart = p => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
    zoom(apart(event) / Math.max(apart(before), 1), (event.clientX + other.clientX) / 2 - box.left, (event.clientY + other.clientY) / 2 - box.top);
  } else if (dx || dy) {
    dragged = dragged || Math.abs(dx) + Math.abs(dy) > 2;
    stage.classList.add("held");
    view.x += dx; view.y += dy;
    move();
  }
});
for (const end of ["pointerup", "pointercancel"])
  addEventListener(end, event => { fingers.delete(event.pointerId); stage.classList.remove("held"); });
stage.addEventListener("click", () => { if (!dragged) pick(null); });
stage.addEventListener("dblclick", event => { const box = stage.getBoundingClientRect(); zoom(1.8, event.clientX - box.left, event.clientY - box.top); });

addEventListener("keydown", event => {
  if (event.target.matches("select,input") && event.key !== "Escape" || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = stage.getBoundingClientRect(), pan = {ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]}[event.key];
  if (pan) { view.x += pan[0]; view.y += pan[1]; move(); }
  else if (event.key === "+" || event.key === "=") zoom(1.25, box.width / 2, box.height / 2);
  else if (event.key === "-") zoom(.8, box.width / 2, box.height / 2);
  else if (event.key === "0") fit();
  else if (event.key === "Escape") pick(null);
  else if (event.key === " " && !event.target.matches("button")) play();
  else return;
  event.preventDefault();
});

// -- putting it together -------------------------------------------------------------------------------------------

function redraw() {
  readColours();
  $("view").replaceChildren();
  drawn = [];
  if (mode === "tree") drawTree(); else drawTokens();
  document.body.querySelector("footer").style.visibility = mode === "tree" ? "" : "hidden";
  for (const name of ["tree", "tokens"]) $("tab-" + name).setAttribute("aria-selected", String(name === mode));
  legend(); drawTicks(); showMoment(); panel(); fit();
}
function choose(name) { if (name !== mode) { mode = name; picked = null; redraw(); } }
function open(i) {
  search = SEARCHES[i]; picked = null; time = search.events;
  $("program").textContent = search.program;
  $("engine").textContent = search.engine;
  $("about").textContent = search.about;
  scaleColours(); chronicle(); redraw();
}
function theme(name) { document.documentElement.dataset.theme = name; if (search) redraw(); }

$("tab-tree").addEventListener("click", () => choose("tree"));
$("tab-tokens").addEventListener("click", () => choose("tokens"));
$("fit").addEventListener("click", fit);
$("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
$("play").addEventListener("click", play);
$("time").addEventListener("input", event => { time = +event.target.value; showMoment(); });
SEARCHES.forEach((s, i) => el("option", {value: i}, $("search"), `${i + 1}. ${cut(s.given || s.program, 40)}`));
$("search").hidden = SEARCHES.length < 2;
$("search").addEventListener("change", event => open(+event.target.value));
const asked = new URLSearchParams(location.hash.slice(1));
document.documentElement.dataset.theme = asked.get("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
mode = asked.get("view") === "tokens" ? "tokens" : "tree";
open(Math.min(+(asked.get("search") || 0), SEARCHES.length - 1));
if (asked.has("node")) pick(+asked.get("node"));
if (asked.has("time")) { time = +asked.get("time"); showMoment(); }
new ResizeObserver(redraw).observe(stage);
document.documentElement.dataset.ready = "yes";
