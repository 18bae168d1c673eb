// Uploading with progress: files are hashed, sent in parts where they are large, and go on after a broken connection.
// The form works without this file; then all of it is one request.
"use strict";

{
  const script = document.currentScript.dataset;
  const words = JSON.parse(script.words || "{}");
  // The text in the language of the page, with its {names} filled in.
  const translate = (text, values = {}) => (words[text] || text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const TRIES = 4, ASKED_AT_ONCE = 50;
  const FRESH = 50 * 60 * 1000;  // milliseconds; the addresses of an upload live for an hour
  const CLUTTER = /(^|\/)(\.git|\.cache|__pycache__|__MACOSX)\/|(^|\/)(\.DS_Store|Thumbs\.db)$/;

  const size = (bytes) => {
    const unit = bytes >= 1e9 ? ["GB", 1e9] : bytes >= 1e6 ? ["MB", 1e6] : bytes >= 1e3 ? ["kB", 1e3] : ["B", 1];
    return `${(bytes / unit[1]).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 })} ${unit[0]}`;
  };
  const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
  const element = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

  // What was sent of a file that is not complete, by its digest; it outlives the page.
  const notes = {
    key: (target, sha256) => `upload:${target}:${sha256}`,
    read(target, sha256) {
      const note = JSON.parse(localStorage.getItem(this.key(target, sha256)) || "null");
      return note && Date.now() - note.at < FRESH ? note : null;
    },
    write(target, sha256, note) {
      try { localStorage.setItem(this.key(target, sha256), JSON.stringify(note)); } catch { /* no room: then nothing is resumed */ }
    },
    forget(target, sha256) { localStorage.removeItem(this.key(target, sha256)); },
  };

  class Refused extends Error {}

  const hashOf = (file, onProgress) => new Promise((resolve, reject) => {
    const worker = new Worker(script.hash);
    worker.onmessage = ({ data }) => {
      if (data.done !== undefined) { onProgress(data.done); return; }
      worker.terminate();
      if (data.sha256) resolve(data.sha256); else reject(new Refused(translate("{name} cannot be read: {problem}", { name: file.name, problem: data.error })));
    };
    worker.onerror = () => { worker.terminate(); reject(new Refused(translate("This browser cannot hash files here."))); };
    worker.postMessage({ file, library: script.sha256 });
  });

  const reasonIn = (text) => {
    try {
      const told = JSON.parse(text);
      return [told.detail || told.error, told.fix].filter(Boolean).join(" ");
    } catch { return ""; /* a page: the session is over, or something broke */ }
  };

  // Resolves to the ETag. A status is final, a lost connection is tried again by the caller.
  const put = (url, body, onProgress) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(body instanceof FormData ? "POST" : "PUT", url);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onerror = () => reject(new Error(translate("the connection broke")));
    request.onload = () => {
      if (request.status < 300) resolve(request.getResponseHeader("ETag"));
      else if (request.status >= 500 || request.status === 429) reject(new Error(`status ${request.status}`));
      else reject(new Refused(reasonIn(request.responseText) || translate("The hub refused the upload (status {status}). Choose the files again.", { status: request.status })));
    };
    request.send(body);
  });

  const putAgain = async (row, url, body, onProgress) => {
    for (let attempt = 1; ; attempt += 1) {
      try { return await put(url, body, onProgress); } catch (error) {
        if (error instanceof Refused || attempt === TRIES) throw error;
        row.tell(translate("trying again"));
        await pause(1000 * 2 ** attempt);
        row.tell(translate("sending"));
      }
    }
  };

  const postJson = async (url, body, token) => {
    const headers = { "Content-Type": "application/json", "Accept": "application/json", "X-CSRFToken": token };
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Refused(reasonIn(text) || translate("The hub answered {status}. Reload the page.", { status: answer.status }));
    return JSON.parse(text || "{}");
  };

  // Sends one file by what the hub answered for it. `row.sent` counts the bytes for the progress.
  const send = async (target, row, offer, token) => {
    if (!offer.actions) return;  // its bytes are here already
    const { upload, verify } = offer.actions;
    const partBytes = Number(upload.header.chunk_size || 0);
    if (!partBytes) {
      await putAgain(row, upload.href, row.file, row.sent);
      if (verify) await postJson(verify.href, {}, token);
      return;
    }
    const note = notes.read(target, row.sha256) || { offer, etags: {}, at: Date.now() };
    const urls = note.offer.actions.upload.header;
    const count = Math.ceil(row.file.size / partBytes);
    for (let number = 1; number <= count; number += 1) {
      const start = (number - 1) * partBytes;
      if (!note.etags[number]) {
        const piece = row.file.slice(start, start + partBytes);
        const etag = await putAgain(row, urls[String(number).padStart(5, "0")], piece, (sent) => row.sent(start + sent));
        if (!etag) throw new Error("the store tells no ETag");
        note.etags[number] = etag;
        notes.write(target, row.sha256, note);
      }
      row.sent(Math.min(row.file.size, start + partBytes));
    }
    const parts = Object.entries(note.etags).map(([number, etag]) => ({ partNumber: Number(number), etag }));
    try {
      await postJson(note.offer.actions.upload.href, { oid: row.sha256, parts }, token);
    } finally {
      notes.forget(target, row.sha256);
    }
  };

  const ask = async (target, rows, direct, token) => {
    const files = rows.map((row) => ({ path: row.path, size: row.file.size, sha256: row.sha256 }));
    const { objects } = await postJson(`${target}/offers`, { files, direct }, token);
    const refused = objects.find((one) => one.error);
    if (refused) throw new Refused(refused.error.message);
    return objects;
  };

  // To the store itself where the hub says so; where a browser cannot reach it, through the hub.
  const deliver = async (target, row, offer, token) => {
    const { header, href } = offer.actions ? offer.actions.upload : { header: {}, href: "" };
    const isHere = new URL(header["00001"] || href, location).origin === location.origin;
    try { await send(target, row, offer, token); } catch (error) {
      if (error instanceof Refused || isHere) throw error;
      notes.forget(target, row.sha256);
      const [through] = await ask(target, [row], false, token);
      await send(target, row, through, token);
    }
  };

  // --- choosing -------------------------------------------------------------------------------------------------
  const filesOf = async (entry, folder) => {
    if (entry.isFile) return [[folder + entry.name, await new Promise((resolve, reject) => { entry.file(resolve, reject); })]];
    const reader = entry.createReader(), found = [];
    for (;;) {  // a reader answers at most 100 at a time
      const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
      if (!some.length) return (await Promise.all(found.map((one) => filesOf(one, `${folder}${entry.name}/`)))).flat();
      found.push(...some);
    }
  };
  const dropped = async (transfer) => {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    const pairs = (await Promise.all(entries.map((entry) => filesOf(entry, "")))).flat();
    return { pairs, folder: entries.length === 1 && entries[0].isDirectory ? entries[0].name : "" };
  };

  const prepare = (form) => {
    const rows = new Map();
    const part = (name) => form.querySelector(`[data-upload${name}]`) || form.querySelector(`[data-${name}]`);
    const list = part("s"), status = part("-status"), problem = part("-error"), button = part("-button");
    const area = form.querySelector("[data-drop]"), field = form.querySelector('input[type="file"]');
    let busy = false;

    const say = (text) => { status.textContent = text; };
    const complain = (text) => { problem.textContent = text; problem.hidden = !text; };
    const total = () => [...rows.values()].reduce((sum, row) => sum + row.file.size, 0);
    const count = () => {
      const values = { n: rows.size, size: size(total()) };
      return rows.size === 1 ? translate("{n} file, {size}", values) : translate("{n} files, {size}", values);
    };

    const add = (pairs, folder) => {
      for (const [path, file] of pairs) {
        const name = folder && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path;
        if (CLUTTER.test(name) || busy) continue;
        const item = element("li", ""), state = element("span", "third small nowrap", size(file.size));
        const bar = Object.assign(element("progress", ""), { max: Math.max(1, file.size), value: 0, hidden: true });
        bar.setAttribute("aria-label", translate("Progress of {name}", { name }));
        const remove = Object.assign(element("button", "button low", translate("Remove")), { type: "button" });
        remove.setAttribute("aria-label", translate("Remove {name}", { name }));
        remove.addEventListener("click", () => { rows.delete(name); item.remove(); list.hidden = !rows.size; say(rows.size ? count() : ""); });
        item.append(element("span", "break", name), state, remove, bar);
        if (rows.has(name)) rows.get(name).item.replaceWith(item); else list.append(item);
        rows.set(name, {
          path: name, file, item, state,
          tell(text) { state.textContent = text; },
          begin() { remove.hidden = true; bar.hidden = false; item.classList.remove("done"); },
          stop() { remove.hidden = false; state.textContent = bar.value === bar.max ? size(file.size) : translate("stopped"); },
          sent(bytes) { bar.value = bytes; },
          end(text) { bar.value = bar.max; state.textContent = text; item.classList.add("done"); },
        });
      }
      list.hidden = !rows.size;
      say(rows.size ? count() : "");
      complain("");
      if (rows.size && "draft" in form.dataset) form.requestSubmit(button);
    };

    form.classList.add("ready");
    field.addEventListener("change", () => {
      add([...field.files].map((file) => {
        const inside = file.webkitRelativePath;
        return [inside || file.name, file];
      }), field.files[0] && field.files[0].webkitRelativePath.split("/")[0]);
      field.value = "";
      field.webkitdirectory = false;
    });
    const folderButton = form.querySelector("[data-folder]");
    folderButton.hidden = !("webkitdirectory" in field);
    folderButton.addEventListener("click", () => { field.webkitdirectory = true; field.click(); });

    const place = form.closest("[data-drop-anywhere]");
    const zone = place ? document.body : area;
    const show = (is) => area.classList.toggle("over", is);
    zone.addEventListener("dragover", (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      if (place) place.hidden = false;
      show(true);
    });
    zone.addEventListener("dragleave", (event) => { if (event.target === area || event.target === zone) show(false); });
    zone.addEventListener("drop", async (event) => {
      event.preventDefault();
      show(false);
      const { pairs, folder } = await dropped(event.dataTransfer);
      add(pairs, folder);
    });
    // A page that follows a verdict would load itself again, and lose what is being sent.
    document.addEventListener("htmx:beforeRequest", (event) => { if (rows.size) event.preventDefault(); });

    const upload = async (target, token) => {
      const waiting = [...rows.values()];
      for (const row of waiting) {
        row.begin();
        row.tell(translate("reading"));
        row.sha256 = await hashOf(row.file, row.sent);
        row.sent(0);
      }
      for (let at = 0; at < waiting.length; at += ASKED_AT_ONCE) {
        const some = waiting.slice(at, at + ASKED_AT_ONCE);
        const offers = await ask(target, some, true, token);
        for (const [index, row] of some.entries()) {
          row.tell(translate("sending"));
          say(translate("{n} of {files}", { n: at + index + 1, files: count() }));
          await deliver(target, row, offers[index], token);
          row.end(offers[index].actions ? translate("sent") : translate("here already"));
        }
      }
    };

    // Puts each file into the draft of an adapter, whole: there is no repository that could take parts of it.
    const keep = async (token) => {
      for (const row of [...rows.values()].filter((one) => !one.isKept)) {
        row.begin();
        row.tell(translate("sending"));
        const body = new FormData();
        for (const [name, value] of [["csrfmiddlewaretoken", token], ["path", row.path], ["files", row.file]]) body.append(name, value);
        await putAgain(row, form.dataset.draft, body, row.sent);
        row.end(translate("sent"));
        row.isKept = true;
      }
      location.assign(form.action);
    };

    button.addEventListener("click", (event) => {
      if (rows.size) return;
      event.preventDefault();
      complain(translate("Choose a folder, files, or a zip first."));
      field.focus();
    });

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      button.disabled = true;
      complain("");
      try {
        const token = form.querySelector('[name="csrfmiddlewaretoken"]').value;
        if (form.dataset.draft) {
          await keep(token);
          return;
        }
        const target = new URL(form.action).pathname;
        await upload(target, token);
        say(translate("Checking …"));
        const staged = form.querySelector('[name="staged"]') || Object.assign(element("input", ""), { type: "hidden", name: "staged" });
        staged.value = JSON.stringify([...rows.values()].map((row) => [row.path, row.sha256, row.file.size]));
        form.append(staged);
        form.submit();
      } catch (error) {
        for (const row of rows.values()) row.stop();
        say("");
        const values = { problem: error.message };
        const stopped = translate("The upload stopped: {problem}. Press the button to resume; what was already sent is kept.", values);
        complain(error instanceof Refused ? error.message : stopped);
      } finally {
        busy = false;
        button.disabled = false;
      }
    });
  };

  document.querySelectorAll("form[data-upload]").forEach(prepare);
}
