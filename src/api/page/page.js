// Keeps the page fresh, and adds the crosshair, copying, the keyboard and the control.

// Absolute: other views have other addresses.
const root = new URL(document.body.dataset.root ?? "performance", location.href).href;
const interval = Number(document.body.dataset.interval ?? "5") * 1000;
/** When what is shown was last of now. */
let fresh = Date.now();
/** When the connection was lost; 0 while there is one. */
let lost = 0;
/** What is being loaded, and whether the reader waits for it.
 * @type {{ stop: AbortController, asked: boolean } | undefined} */
let loading;
/** The control token; never stored. */
let token = "";

/**
 * @template {Element} T
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {T[]}
 */
function all(selector, within = document) {
  return /** @type {T[]} */ ([...within.querySelectorAll(selector)]);
}

/**
 * Makes an element of the script's own, which a refresh leaves alone.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} className
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
function own(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.dataset.own = "";
  made.textContent = text;
  return made;
}

// Times

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

/** @param {Date} time */
function local(time) {
  const of = clock.format(time);
  return time.toDateString() === new Date().toDateString() ? of : `${day.format(time)} ${of}`;
}

/**
 * Writes the server's times in the zone of the reader.
 * @param {Document} page
 */
function localise(page) {
  for (const time of /** @type {HTMLTimeElement[]} */ (all("time[datetime]", page))) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const kind = time.dataset.short;
    time.textContent = kind === "time" ? short.format(moment) : kind === "day" ? day.format(moment) : local(moment);
    time.title = moment.toString();
  }
  for (const named of all("[data-zone]", page)) {
    const minutes = -new Date().getTimezoneOffset();
    const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
    named.textContent = `${zone} (UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""})`;
  }
}

// Staying fresh

/**
 * Makes `from` like `to`, and keeps what the reader has opened, selected or typed.
 * @param {Element} from
 * @param {Element} to
 */
function morph(from, to) {
  // What is open, and looked at in a chart, is the reader's.
  const theirs = ["open", "data-at"];
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !theirs.includes(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && name !== "open") from.setAttribute(name, value);
  }
  if (from.hasAttribute("data-kept")) return;
  /** @type {(node: ChildNode | null) => ChildNode | null} */
  const next = (node) => {
    while (node instanceof HTMLElement && node.dataset.own !== undefined) node = node.nextSibling;
    return node;
  };
  const known = new Map([...from.children].filter((child) => child.id).map((child) => [child.id, child]));
  let at = next(from.firstChild);
  for (const wanted of [...to.childNodes]) {
    const id = wanted instanceof Element ? wanted.id : "";
    /** @type {ChildNode | undefined} */
    let same = id ? known.get(id) : undefined;
    if (!id && at && at.nodeName === wanted.nodeName && !(at instanceof Element && at.id)) same = at;
    if (!same) {
      from.insertBefore(wanted, at);
      continue;
    }
    if (same === at) at = next(at.nextSibling);
    else from.insertBefore(same, at);
    if (same instanceof Element && wanted instanceof Element) morph(same, wanted);
    else if (same.nodeValue !== wanted.nodeValue) same.nodeValue = wanted.nodeValue;
  }
  while (at) {
    const gone = at;
    at = next(at.nextSibling);
    gone.remove();
  }
}

/**
 * Loads a view and shows it in the place of the present one.
 * @param {string} url
 * @param {boolean} asked whether the reader waits for it
 * @param {boolean} [replace] whether it takes the present one's place in the history
 * @returns {Promise<boolean>} whether it is shown
 */
async function show(url, asked, replace = false) {
  loading?.stop.abort();
  const mine = (loading = { stop: new AbortController(), asked });
  const slow = asked ? setTimeout(() => document.body.classList.add("is-loading"), 300) : 0;
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" }, signal: mine.stop.signal });
    // It asks for the token, and leads there.
    if (answer.status === 401) location.href = url;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!page.body.dataset.root) throw new Error(`the service answered ${answer.status}`);
    if (loading !== mine) return false;
    // Before the addresses on the page, which are relative to it.
    if (asked && url !== location.href) history[replace ? "replaceState" : "pushState"](null, "", url);
    localise(page);
    document.title = page.title;
    morph(document.body, page.body);
    furnish();
    fresh = Date.now();
    lost = 0;
    watch();
    return true;
  } catch (error) {
    const why = error instanceof TypeError || !(error instanceof Error) ? "the service does not answer" : error.message;
    if (asked && !mine.stop.signal.aborted) say(`This view could not be loaded: ${why}.`);
    return false;
  } finally {
    clearTimeout(slow);
    if (loading === mine) {
      loading = undefined;
      document.body.classList.remove("is-loading");
    }
  }
}

/** Shows this view as it is now, unless the reader waits for another one. */
function refresh() {
  if (document.hidden || document.querySelector("dialog[open]") || loading?.asked) return;
  void show(location.href, false);
}

let said = 0;

/**
 * Says something for a while.
 * @param {string} text
 */
function say(text) {
  const note = document.getElementById("note");
  if (note) note.textContent = text;
  clearTimeout(said);
  said = setTimeout(() => note?.replaceChildren(), 10_000);
}

/** Says whether the page is of now. */
function watch() {
  const live = document.getElementById("live");
  if (!live || document.hidden || document.querySelector("dialog[open]")) return;
  const late = Date.now() - fresh > 3 * interval + 2000;
  const gone = lost > 0 && Date.now() - lost > 2000;
  document.body.classList.toggle("is-stale", gone || late);
  document.body.classList.toggle("is-live", !gone && !late);
  const since = local(new Date(gone ? Math.min(lost, fresh) : fresh));
  const why = gone ? "No connection to the service" : "This page could not be refreshed";
  const text = gone || late ? `${why} since ${since}. What you see is from then; trying again …` : "Live";
  if (live.textContent !== text) live.textContent = text;
}

/** @type {EventSource | undefined} */
let events;

/** Listens while the page is seen: a browser has only six connections to a server, for all its pages. */
function listen() {
  events?.close();
  events = undefined;
  if (document.hidden) return;
  const mine = (events = new EventSource(`${root}/events`));
  mine.onopen = () => {
    if (lost) refresh();
    lost = 0;
    watch();
  };
  mine.addEventListener("evaluation", refresh);
  mine.addEventListener("gap", (event) => {
    const reason = JSON.parse(/** @type {MessageEvent<string>} */ (event).data).reason;
    if (reason === "restarted") say("The service was started again; what was not kept in its history file is gone.");
    refresh();
  });
  mine.onerror = () => {
    // An answer that is no stream ends it for good; a lost connection does not. The page is asked for all the same.
    if (mine.readyState !== EventSource.CLOSED) lost ||= Date.now();
    else if (mine === events) setTimeout(() => (listen(), refresh()), interval);
    watch();
  };
}

// Charts

/**
 * Shows the values at one place of a chart.
 * @param {HTMLElement} figure
 * @param {number} at
 */
function point(figure, at) {
  const plot = /** @type {HTMLElement | null} */ (figure.querySelector(".plot"));
  const places = (figure.dataset.x ?? "").split(",").map(Number);
  if (!plot || !places.length) return;
  at = Math.max(0, Math.min(places.length - 1, at));
  figure.dataset.at = String(at);
  const cross = plot.querySelector(".cross") ?? plot.appendChild(own("div", "cross"));
  const readout = figure.querySelector(".readout") ?? figure.appendChild(own("output", "readout small"));
  /** @type {HTMLElement} */ (cross).style.left = `${places[at]}%`;
  const second = Number((figure.dataset.times ?? "").split(",")[at]);
  const when = second ? local(new Date(second * 1000)) : ((figure.dataset.labels ?? "").split("|")[at] ?? "");
  const values = /** @type {SVGElement[]} */ (all("[data-values]", figure)).map(
    (line) => `${line.dataset.name} ${(line.dataset.values ?? "").split("|")[at] ?? "–"}`,
  );
  const marks = /** @type {SVGElement[]} */ (all("[data-text]", figure))
    .filter((mark) => Math.abs(Number(mark.dataset.x) - (places[at] ?? 0)) < 1.5)
    .map((mark) => mark.dataset.text);
  readout.textContent = [when, ...values, ...marks].join(" · ");
}

/** @param {HTMLElement} figure */
function unpoint(figure) {
  delete figure.dataset.at;
  all(".cross, .readout", figure).forEach((part) => part.remove());
}

document.addEventListener("pointermove", (event) => {
  const target = /** @type {Element} */ (event.target);
  const plot = target.closest?.(".plot");
  const figure = /** @type {HTMLElement | null} */ (plot?.closest("figure[data-x]") ?? null);
  for (const other of /** @type {HTMLElement[]} */ (all("figure[data-at]"))) {
    if (other !== figure && other !== document.activeElement) unpoint(other);
  }
  if (!figure || !plot) return;
  const box = plot.getBoundingClientRect();
  const share = ((event.clientX - box.left) / box.width) * 100;
  const places = (figure.dataset.x ?? "").split(",").map(Number);
  const near = places.reduce((best, place, at) => (Math.abs(place - share) < Math.abs((places[best] ?? 0) - share) ? at : best), 0);
  point(figure, near);
});

/**
 * Returns the rows of a table, the head first, and which columns are set to the right; without those of pictures.
 * @param {HTMLTableElement} table
 */
function cells(table) {
  const heads = [...(table.rows[0]?.cells ?? [])];
  const written = heads.flatMap((head, at) => (head.hasAttribute("data-drawn") ? [] : [at]));
  const text = (/** @type {HTMLTableRowElement} */ row) =>
    written.map((at) => (row.cells[at]?.textContent ?? "").trim().replace(/\s+/g, " "));
  return { rows: [...table.rows].map(text), right: written.map((at) => !heads[at]?.classList.contains("left")) };
}

/** @param {HTMLTableElement} table */
function asText(table) {
  const { rows, right } = cells(table);
  const widths = right.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const cell = (/** @type {string} */ text, /** @type {number} */ at) =>
    right[at] ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0);
  return rows.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}

/** @param {HTMLTableElement} table */
function asMarkdown(table) {
  const { rows, right } = cells(table);
  const escape = (/** @type {string} */ cell) => cell.replace(/[\\`*_[\]<>|#~@&!]/g, "\\$&");
  const lines = rows.map((row) => `| ${row.map(escape).join(" | ")} |`);
  lines.splice(1, 0, `|${right.map((is) => (is ? "--:" : "---")).join("|")}|`);
  return lines.join("\n");
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS.
    const area = document.body.appendChild(own("textarea", "off"));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied.");
}

/**
 * Asks in a dialog; nothing where the reader thinks better of it.
 * @param {string} question
 * @param {{ name: string, label: string, type?: string, choices?: string[] }[]} fields
 * @param {string} yes
 * @returns {Promise<Record<string, string> | undefined>}
 */
function ask(question, fields, yes) {
  const dialog = document.body.appendChild(own("dialog", "ask"));
  dialog.setAttribute("aria-labelledby", "question");
  const form = dialog.appendChild(own("form", ""));
  form.method = "dialog";
  form.appendChild(own("h2", "", question)).id = "question";
  for (const { name, label, type = "text", choices } of fields) {
    const row = form.appendChild(own("label", "field", label));
    const input = row.appendChild(own(choices ? "select" : "input", ""));
    for (const choice of choices ?? []) input.appendChild(own("option", "", choice));
    Object.assign(input, { name, required: true, autocomplete: "off" }, choices ? {} : { type });
  }
  const buttons = form.appendChild(own("div", "buttons"));
  const no = buttons.appendChild(own("button", "", "Cancel"));
  no.type = "button";
  no.onclick = () => dialog.close();
  const ok = buttons.appendChild(own("button", "primary", yes));
  ok.value = "yes";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const given = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
      resolve(dialog.returnValue === "yes" ? given : undefined);
      dialog.remove();
    };
  });
}

/**
 * @param {string} path
 * @param {string} method
 * @param {object} [body]
 */
async function control(path, method, body) {
  const needs = document.body.dataset.control === "token";
  if (needs && !token) {
    const given = await ask("Changing something needs the control token. It is kept until this page is closed.", [{ name: "token", label: "Control token", type: "password" }], "Go on");
    if (!given) return;
    token = given.token ?? "";
  }
  /** @type {Record<string, string>} */
  const headers = body ? { "content-type": "application/json" } : {};
  if (needs) headers.authorization = `Bearer ${token}`;
  try {
    const answer = await fetch(`${root}/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const said = await answer.json();
    if (answer.status === 401 || answer.status === 403) token = "";
    say(said.message ?? said.error ?? said.status ?? "");
    refresh();
  } catch {
    say("The service did not answer. Nothing may have changed.");
  }
}

/**
 * @param {DOMStringMap} wanted
 * @param {string} label
 */
async function act({ act: what, id, method, path, question }, label) {
  if (what === "acknowledge") {
    const fields = [
      { name: "by", label: "Your name" },
      { name: "reason", label: "Reason" },
      { name: "expires_in", label: "For how long", choices: ["1h", "4h", "24h", "72h", "168h"] },
    ];
    const given = await ask("It stays on this page, and no alert is sent for it in that time.", fields, "Acknowledge");
    if (given) await control(`bottlenecks/${id}/acknowledge`, "POST", given);
  } else if (!question || (await ask(question, [], label))) {
    await control(path ?? "", method ?? "POST");
  }
}

/** Adds what only the script can do. */
function furnish() {
  const here = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);
  if (here || document.body.dataset.control !== "loopback") all("[data-script]").forEach((part) => part.removeAttribute("hidden"));
  all(".tools").forEach((tools) => tools.previousElementSibling?.matches(".scroll") || tools.remove());
  for (const table of /** @type {HTMLTableElement[]} */ (all(".scroll > table"))) {
    const region = /** @type {HTMLElement} */ (table.parentElement);
    if (region.nextElementSibling?.classList.contains("tools")) continue;
    const tools = own("div", "tools");
    for (const [name, write] of /** @type {const} */ ([["text", asText], ["Markdown", asMarkdown]])) {
      const button = tools.appendChild(own("button", "link small", `Copy as ${name}`));
      button.type = "button";
      button.onclick = () => void copy(write(table));
    }
    region.after(tools);
  }
  for (const figure of /** @type {HTMLElement[]} */ (all("figure[data-at]"))) point(figure, Number(figure.dataset.at));
}

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  const button = /** @type {HTMLElement | null} */ (target.closest("[data-act]"));
  if (button) return void act(button.dataset, button.textContent ?? "");
  const link = /** @type {HTMLAnchorElement | null} */ (target.closest("a[data-go]"));
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  void show(link.href, true).then((shown) => {
    if (!shown || link.dataset.go !== "top") return;
    scrollTo(0, 0);
    document.querySelector("h1")?.focus();
  });
});

let typing = 0;
document.addEventListener("input", (event) => {
  const form = /** @type {HTMLInputElement} */ (event.target).form;
  if (!form?.hasAttribute("data-go")) return;
  clearTimeout(typing);
  typing = setTimeout(() => form.requestSubmit(), 250);
});

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.hasAttribute("data-go")) return;
  event.preventDefault();
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) if (value) url.searchParams.set(name, String(value));
  void show(url.href, true, true);
});

document.addEventListener(
  "toggle",
  (event) => {
    const finding = /** @type {HTMLDetailsElement} */ (event.target);
    if (!finding.dataset?.finding) return;
    const open = /** @type {HTMLElement[]} */ (all("details[data-finding][open]")).map((one) => one.dataset.finding);
    const url = new URL(location.href);
    url.searchParams.delete("finding");
    if (open.length) url.searchParams.set("finding", open.join(","));
    if (url.href !== location.href) history.replaceState(null, "", url);
    if (finding.open && finding.querySelector("[data-missing]")) refresh();
  },
  true,
);

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const figure = /** @type {HTMLElement | null} */ (target.closest("figure[data-x]"));
  const last = (figure?.dataset.x ?? "").split(",").length - 1;
  const at = Number(figure?.dataset.at ?? last);
  const moves = /** @type {Record<string, number>} */ ({ ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last });
  if (figure && target === figure && event.key in moves) {
    event.preventDefault();
    return point(figure, moves[event.key] ?? 0);
  }
  if (event.key === "Escape" && figure) return unpoint(figure);
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select")) return;
  if (event.key === "/") {
    const filter = /** @type {HTMLInputElement | null} */ (document.querySelector("input[type=search]"));
    if (!filter) return;
    event.preventDefault();
    filter.focus();
  } else if (event.key === "j" || event.key === "k") {
    const findings = /** @type {HTMLElement[]} */ (all("details[data-finding] > summary"));
    const now = findings.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    findings[now < 0 ? 0 : now + (event.key === "j" ? 1 : -1)]?.focus();
  }
});

addEventListener("popstate", () => void show(location.href, true));
document.addEventListener("visibilitychange", () => {
  fresh = Date.now();
  listen();
  refresh();
});
setInterval(watch, 1000);
localise(document);
furnish();
watch();
listen();
