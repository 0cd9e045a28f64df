// Clients of the y-websocket protocol behind a pipe: each line of standard input is one
// request in JSON, each line of standard output its answer. A request that waits for
// something is answered when that has come; requests are carried out one by one.

import { createInterface } from "node:readline";
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const peers = new Map();

// Resolve once `holds` does, looking again at each of the events.
function until(holds, ...sources) {
  return new Promise((resolve) => {
    const look = () => {
      if (!holds()) return;
      for (const [source, event] of sources) source.off(event, look);
      resolve({});
    };
    for (const [source, event] of sources) source.on(event, look);
    look();
  });
}

const actions = {
  open({ name, url, key, params, client }) {
    const document = new Y.Doc();
    if (client) document.clientID = client;
    const provider = new WebsocketProvider(url, encodeURIComponent(key), document, {
      params,
      WebSocketPolyfill: WebSocket,
      disableBc: true,
      maxBackoffTime: 200,
    });
    const peer = { document, provider, text: document.getText("t"), closed: [] };
    provider.on("closed", (closed) => peer.closed.push(closed));
    provider.on("connection-error", () => {});
    peers.set(name, peer);
    return {};
  },
  edit({ text, document }, { delta }) {
    document.transact(() => text.applyDelta(delta));
    return {};
  },
  // Type a word as a person does: a transaction for each letter.
  type({ text }, { at, word }) {
    [...word].forEach((letter, place) => text.insert(at + place, letter));
    return {};
  },
  read: ({ text }) => ({ text: text.toString() }),
  synced: ({ provider }) => until(() => provider.synced, [provider, "sync"]),
  reads: ({ text, document }, { expected }) =>
    until(() => text.toString() === expected, [document, "update"]),
  contains: ({ text, document }, { parts }) =>
    until(() => parts.every((part) => text.toString().includes(part)), [
      document,
      "update",
    ]),
  disconnect({ provider }) {
    provider.disconnect();
    return {};
  },
  connect({ provider }) {
    provider.connect();
    return {};
  },
  async closed(peer) {
    await until(() => peer.closed.length > 0, [peer.provider, "closed"]);
    return peer.closed[0];
  },
  show({ provider }, { state }) {
    provider.awareness.setLocalState(state);
    return {};
  },
  sees: ({ provider, document }, { names }) =>
    until(() => {
      const others = [...provider.awareness.getStates()]
        .filter(([client]) => client !== document.clientID)
        .map(([, state]) => state.name);
      return JSON.stringify(others.sort()) === JSON.stringify(names);
    }, [provider.awareness, "change"]),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const peer = peers.get(request.name);
  const answer =
    request.do === "open"
      ? actions.open(request)
      : await actions[request.do](peer, request);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
