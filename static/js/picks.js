// The tray of a list whose rows can be ticked: names what is ticked, and says whether the numbers compare.
"use strict";

document.querySelectorAll("form.picks").forEach((form) => {
  const tray = form.querySelector(".tray");
  if (!tray) return;
  const [names, words] = tray.querySelectorAll("span");
  const button = tray.querySelector("button.main");
  const invitation = words.textContent;
  const say = (picked) => {
    if (picked.length > Number(tray.dataset.most)) return tray.dataset.tooMany;
    const rows = picked.map((box) => box.dataset.rows);
    if (picked.length < 2 || rows.includes(undefined)) return invitation;  // versions of one adapter have no such key
    return rows[0] && rows.every((key) => key === rows[0]) ? tray.dataset.same : tray.dataset.other;
  };
  const show = () => {
    const picked = [...form.querySelectorAll(".pick input:checked")];
    names.replaceChildren(...picked.map((box) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "chip on";
      chip.textContent = `${box.value.replace(/@([0-9a-f]{8})[0-9a-f]+$/, "@$1")} ×`;
      chip.addEventListener("click", () => { box.checked = false; box.focus(); show(); });
      return chip;
    }));
    names.hidden = !picked.length;
    words.textContent = say(picked);
    button.disabled = picked.length < 2 || picked.length > Number(tray.dataset.most);
  };
  form.addEventListener("change", show);
  window.addEventListener("pageshow", show);  // the browser ticks again what was ticked before one went on
});
