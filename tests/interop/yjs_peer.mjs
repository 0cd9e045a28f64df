// JavaScript Yjs behind a pipe: each line of standard input is one request in JSON,
// each line of standard output its answer. Updates are hexadecimal.
//
// {"client", "updates", "edits"} builds a document under that client id from the
// updates, makes the edits one transaction each, and is answered by what the document
// then shows, by the update of every edit, and by its full state and state vector.

import { createInterface } from "node:readline";
import * as Y from "yjs";

const toHex = (bytes) => Buffer.from(bytes).toString("hex");
const fromHex = (text) => new Uint8Array(Buffer.from(text, "hex"));

const edits = {
  set: (document, [root, key, value]) => document.getMap(root).set(key, value),
  erase: (document, [root, key]) => document.getMap(root).delete(key),
  delta: (document, [delta]) => document.getText("t").applyDelta(delta),
};

function answer({ client, updates, edits: requested }) {
  const document = new Y.Doc();
  document.clientID = client;
  for (const update of updates) Y.applyUpdate(document, fromHex(update));
  const made = [];
  document.on("update", (update) => made.push(toHex(update)));
  for (const [kind, ...values] of requested) {
    document.transact(() => edits[kind](document, values));
  }
  return {
    n: document.getMap("n").toJSON(),
    e: document.getMap("e").toJSON(),
    text: document.getText("t").toString(),
    delta: document.getText("t").toDelta(),
    made,
    state: toHex(Y.encodeStateAsUpdate(document)),
    merged: toHex(Y.mergeUpdates([...updates, ...made].map(fromHex))),
    version2: toHex(Y.encodeStateAsUpdateV2(document)),
    vector: toHex(Y.encodeStateVector(document)),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`);
}
