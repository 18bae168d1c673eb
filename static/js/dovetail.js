// Small comforts on top of pages that work without them: theme, copy buttons, keys, menus.
"use strict";

const root = document.documentElement;
root.classList.remove("no-script");
const words = JSON.parse(document.currentScript.dataset.words || "{}");
const translate = (text) => words[text] || text;  // into the language of the page

// Theme: the cookie lets the server write the right one into the page, so nothing flashes.
const THEMES = ["system", "dark", "light"];
const themeButton = document.querySelector("[data-theme-button]");
const showTheme = () => { themeButton.querySelector("span").textContent = { dark: translate("dark"), light: translate("light") }[root.dataset.theme] || translate("system"); };
if (themeButton) {
  themeButton.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length];
    if (next === "system") delete root.dataset.theme; else root.dataset.theme = next;
    const age = next === "system" ? 0 : 31536000;
    document.cookie = `theme=${next}; path=/; max-age=${age}; samesite=lax`;
    showTheme();
  });
  showTheme();
}

// Copy buttons: data-copy holds the text, data-copy-from the id of the element that shows it.
const showCopyButtons = (place) => place.querySelectorAll(".copy[hidden]").forEach((button) => { button.hidden = false; });
const copyText = (text) => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");  // a hub on plain http is no secure context: no clipboard there
  field.className = "hidden-text";
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  return Promise.resolve();
};
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const source = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
  await copyText(source ? source.textContent : button.dataset.copy);
  button.focus();
  const before = button.dataset.label || button.textContent;
  button.dataset.label = before;
  button.textContent = translate("Copied");
  setTimeout(() => { button.textContent = before; }, 1200);
});
showCopyButtons(document);
document.addEventListener("htmx:afterSettle", (event) => showCopyButtons(event.target.parentElement || document));

// Of a row of tabs that is wider than the screen, the one that is open is in sight.
document.querySelectorAll(".settings-nav [aria-current], .tabs [aria-current]").forEach((tab) => {
  const row = tab.parentElement;
  row.scrollLeft += tab.getBoundingClientRect().left - row.getBoundingClientRect().left - (row.clientWidth - tab.offsetWidth) / 2;
});
const openPage = document.querySelector(".docs-nav [aria-current]");
if (openPage) {
  const menu = openPage.closest(".docs-nav > div");
  menu.scrollTop += openPage.getBoundingClientRect().top - menu.getBoundingClientRect().top - menu.clientHeight / 2;
}

// A link with data-dialog opens the part of its page that has this id over the page; links within it stay in there.
let dialog = null;
const fillDialog = async (address, id) => {
  const answer = await fetch(address, { credentials: "same-origin" });
  const part = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
  if (!part) { location.href = address; return; }
  const close = document.createElement("form");
  close.method = "dialog";
  close.innerHTML = '<button class="button low">Close</button>';
  dialog.replaceChildren(close, part);
  showCopyButtons(dialog);
  const heading = part.querySelector("h2");
  if (heading) dialog.setAttribute("aria-label", heading.textContent);
};
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-dialog], dialog.large nav a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const within = link.closest("dialog.large");
  const at = within ? [...within.querySelectorAll("nav a")].indexOf(link) : -1;
  if (!within) {
    dialog = document.createElement("dialog");
    dialog.className = "large";
    dialog.dataset.part = link.dataset.dialog;
    dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
    document.body.append(dialog);
  }
  await fillDialog(link.href, dialog.dataset.part);
  if (!within) dialog.showModal();
  const again = dialog.querySelectorAll("nav a")[at];
  if (again) again.focus();
});

// Of what was typed before the scripts came, no input is heard.
document.addEventListener("htmx:load", () => {
  document.querySelectorAll("[hx-post] textarea").forEach((field) => {
    if (field.value !== field.defaultValue) field.dispatchEvent(new Event("dovetail:early"));
  });
}, { once: true });  // later ones tell of a part that came, such as the preview

// Passkeys: what the browser or the device refused is shown beside the button.
document.addEventListener("allauth.error", (event) => {
  const place = document.querySelector("[data-passkey-error]");
  if (!place) return;
  event.preventDefault();
  const cancelled = event.detail.exception.name === "NotAllowedError";
  place.textContent = cancelled ? translate("Cancelled, or no passkey for this site was found.") : event.detail.exception.message;
  place.hidden = false;
});

// An open menu closes on Escape and on a click elsewhere.
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});

// On a phone the search field lies behind a button, and takes the keyboard when it comes.
const find = document.getElementById("find");
if (find) find.form.addEventListener("toggle", (event) => { if (event.newState === "open") find.focus(); });

// Keys
let afterG = 0;
const moveInList = (step) => {
  const links = [...document.querySelectorAll("[data-list] [data-item]")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const to = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step));
  links[to].focus();
};
const press = (selector) => {
  const control = document.querySelector(selector);
  if (control) control.click();
};
// The queue of moderators: the row that has the focus, and the decision on the case that is open.
const focusedRow = () => document.activeElement && document.activeElement.closest(".cases tr");
const decideBy = (outcomes) => {
  const options = outcomes.map((name) => document.querySelector(`#panel option[value="${name}"]`));
  const option = options.find(Boolean);
  if (!option) return;
  option.selected = true;
  document.querySelector('#panel input[name="reason"]').focus();
};
const KEYS = {
  c: () => press('#panel [data-press="c"]'),
  e: () => { const row = focusedRow(); if (row) row.querySelector("[data-item]").click(); },
  x: () => { const row = focusedRow(); if (row) row.querySelector('input[type="checkbox"]').click(); },
  q: () => decideBy(["held-version", "held", "hidden", "suspended"]),
  n: () => decideBy(["no-action"]),
  "/": () => find.focus(),
  "?": () => document.getElementById("keys").showModal(),
  j: () => moveInList(1),
  k: () => moveInList(-1),
  g: () => { afterG = Date.now(); },
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelectorAll("details.menu[open]").forEach((menu) => { menu.open = false; });
  const typing = event.target.closest && event.target.closest("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const link = Date.now() - afterG < 1200 && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (link) { location.href = link.href; return; }
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});

// Try it: a link holds the texts behind its #, which browsers send to no server.
const tryForm = document.querySelector("[data-try]");
if (tryForm) {
  const fields = [...tryForm.querySelectorAll("textarea")];
  const shared = new URLSearchParams(location.hash.slice(1));
  fields.forEach((field) => { if (shared.has(field.name)) field.value = shared.get(field.name); });
  const keepLink = () => {
    const page = new URL(tryForm.dataset.try, location.href);
    page.search = new URLSearchParams({ rev: tryForm.elements.rev.value });
    page.hash = new URLSearchParams(fields.filter((field) => field.value).map((field) => [field.name, field.value]));
    tryForm.querySelector("[data-share]").dataset.copy = page.href;
  };
  tryForm.addEventListener("input", keepLink);
  keepLink();
}
