// Clients of the y-websocket protocol behind a pipe: each line of standard input is one
// request in JSON, each line of standard output its answer. A request that waits for
// something is answered when that has come; requests are carried out one by one.

import { createInterface } from "node:readline";
import * as encoding from "lib0/encoding";
import WebSocket from "ws";
import * as auth from "y-protocols/auth";
import * as awarenessProtocol from "y-protocols/awareness";
import * as sync from "y-protocols/sync";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

// Standard output is for answers alone.
console.log = console.error;

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

// One message of every kind, as y-protocols writes it, in hexadecimal.
function messages() {
  const document = new Y.Doc();
  document.clientID = 1001;
  const awareness = new awarenessProtocol.Awareness(document);
  awareness.setLocalState({ name: "Åsa 💧" });
  document.getText("t").insert(0, "a💧");
  const update = Y.encodeStateAsUpdate(document);
  const message = (kind, write) => {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, kind);
    write(encoder);
    return Buffer.from(encoding.toUint8Array(encoder)).toString("hex");
  };
  const written = {
    step_1: message(0, (encoder) => sync.writeSyncStep1(encoder, document)),
    step_2: message(0, (encoder) => sync.writeSyncStep2(encoder, document)),
    update: message(0, (encoder) => sync.writeUpdate(encoder, update)),
    present: message(1, (encoder) => writePresence(encoder, awareness)),
    query: message(3, () => {}),
    refusal: message(2, (encoder) => auth.writePermissionDenied(encoder, "Nein.")),
  };
  awareness.setLocalState(null);
  written.gone = message(1, (encoder) => writePresence(encoder, awareness));
  awareness.destroy();
  return written;
}

function writePresence(encoder, awareness) {
  const update = awarenessProtocol.encodeAwarenessUpdate(awareness, [1001]);
  encoding.writeVarUint8Array(encoder, update);
}

const actions = {
  messages,
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
  // Resolve once the daemon has sent back an edit that is made now: it is stored, and
  // all before it.
  stored({ provider, text }) {
    return new Promise((resolve) => {
      const marker = "\u2713";
      provider.ws.addEventListener("message", function look({ data }) {
        const bytes = Buffer.from(data);
        if (bytes[0] !== 0 || !bytes.includes(marker)) return;
        provider.ws.removeEventListener("message", look);
        text.delete(text.length - 1, 1);
        resolve({});
      });
      text.insert(text.length, marker);
    });
  },
  params({ provider }, { params }) {
    provider.params = params;
    return {};
  },
  writers: ({ document }) => ({ clients: [...document.store.clients.keys()] }),
  // Yjs takes a new client id when it meets its own: go back to the one that was asked.
  stay({ document }, { client }) {
    document.clientID = client;
    return {};
  },
  // End the connection as a pulled plug does, without a farewell.
  cut({ provider }) {
    provider.shouldConnect = false;
    provider.ws.terminate();
    return {};
  },
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
