// Of the files that were chosen, sends the config and the header of the weights as text: the weights stay here.
"use strict";

document.querySelectorAll("form[data-fit]").forEach((form) => {
  const files = form.elements.files;
  form.classList.add("ready");
  const MOST = 4 * 1024 * 1024;  // bytes of a header, as the hub reads

  const headerOf = async (file) => {
    const start = new DataView(await file.slice(0, 8).arrayBuffer());
    const length = start.byteLength < 8 ? 0 : Number(start.getBigUint64(0, true));
    return file.slice(8, 8 + Math.min(length, MOST)).text();
  };
  form.addEventListener("submit", async (event) => {
    if (!files.files.length) return;
    event.preventDefault();
    for (const file of files.files) {
      if (file.name.endsWith(".safetensors")) form.elements.header.value = await headerOf(file) || "-";
      else if (file.name.endsWith(".json")) form.elements.config.value = await file.slice(0, MOST).text() || "-";
    }
    files.disabled = true;  // so that they are not sent
    form.submit();
    files.disabled = false;
  });
  form.addEventListener("dragover", (event) => { event.preventDefault(); form.querySelector(".drop").classList.add("over"); });
  form.addEventListener("dragleave", () => form.querySelector(".drop").classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    files.files = event.dataTransfer.files;
    form.requestSubmit();
  });
});
