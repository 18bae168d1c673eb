// Suggestions below the search field while somebody types; on Ctrl-K a palette, of which Enter takes the first row.
"use strict";

{
  const WAIT_MS = 120;
  const field = document.getElementById("find");
  const list = document.getElementById("palette");
  const status = document.getElementById("palette-count");
  let request = new AbortController();
  let timer = 0;
  let isPalette = false;

  for (const [name, value] of Object.entries({
    role: "combobox", "aria-controls": list.id, "aria-expanded": "false", "aria-autocomplete": "list",
  })) field.setAttribute(name, value);

  const rows = () => [...list.querySelectorAll("[role=option]")];
  const chosen = () => list.querySelector("[aria-selected=true]");
  const choose = (row) => {
    rows().forEach((each) => each.setAttribute("aria-selected", String(each === row)));
    if (!row) { field.removeAttribute("aria-activedescendant"); return; }
    field.setAttribute("aria-activedescendant", row.id);
    row.scrollIntoView({ block: "nearest" });
  };
  const show = (isOpen) => {
    list.hidden = !isOpen;
    field.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) { choose(null); status.textContent = ""; }
  };
  const close = () => {
    clearTimeout(timer);
    request.abort();
    isPalette = false;
    show(false);
  };
  const load = async (choosesFirst = isPalette) => {
    clearTimeout(timer);
    request.abort();
    const current = request = new AbortController();
    try {
      const address = `${list.dataset.address}?q=${encodeURIComponent(field.value)}`;
      const answer = await fetch(address, { signal: current.signal, credentials: "same-origin" });
      const html = await answer.text();
      if (current.signal.aborted) return;
      if (!answer.ok) { close(); return; }  // too often, or the hub restarts: the form still searches
      list.innerHTML = html;
      show(rows().length > 0);
      status.textContent = list.querySelector("template").innerHTML;
      choose(choosesFirst ? rows()[0] : null);
    } catch (error) {
      if (!current.signal.aborted) close();
    }
  };

  field.addEventListener("input", () => {
    if (!field.value.trim() && !isPalette) { close(); return; }
    clearTimeout(timer);
    timer = setTimeout(() => load(), WAIT_MS);
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) { load(true); return; }
      const all = rows();
      const at = all.indexOf(chosen()) + step;
      choose(all[at === -2 ? all.length - 1 : at]);  // past either end nothing is chosen: Enter searches
    } else if (event.key === "Enter" && chosen()) {
      event.preventDefault();
      chosen().click();
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();  // the next one empties the field
      close();
    }
  });
  list.addEventListener("mousedown", (event) => event.preventDefault());  // the field keeps the focus
  field.form.addEventListener("focusout", (event) => { if (!field.form.contains(event.relatedTarget)) close(); });
  field.form.addEventListener("submit", close);
  window.addEventListener("pageshow", (event) => { if (event.persisted) close(); });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (getComputedStyle(field.form).display === "none") field.form.showPopover();
    field.focus();
    field.select();
    isPalette = true;
    load();
  });
}
