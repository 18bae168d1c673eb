// A worker: the sha256 of a file, read in pieces, so that neither the page nor the memory waits for it.
"use strict";

const PIECE = 4 << 20;

self.onmessage = async (event) => {
  const { file, library } = event.data;
  try {
    if (!self.sha256) importScripts(library);
    const hash = self.sha256.create();
    for (let at = 0; at < file.size; at += PIECE) {
      hash.update(await file.slice(at, at + PIECE).arrayBuffer());
      self.postMessage({ done: Math.min(file.size, at + PIECE) });
    }
    self.postMessage({ sha256: hash.hex() });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
