import { expect, test } from "vitest";

import { arrangeLive, filterLive, liveRows, NO_FILTER } from "../src/live";
import type { LiveStream } from "../src/model";

const NOW = 1_000_000;

function stream(Stream: string, changes: Partial<LiveStream> = {}): LiveStream {
  return {
    UniqueName: "demo", App: "live", Pubdomain: "push.demo.local", Stream, SessionId: Stream, ClientIp: "203.0.113.7", ClientPort: 1,
    Node: "10.0.0.1", PubTime: NOW - 60, FrameRate: 30, Curfps: 30, FLR: 0, Curbitrate: 1900, BwInAudio: 100, BwIn: 2000, BwReal: 2010,
    BwDiff: -10, Width: 1280, Height: 720, SampleRate: 44100, Vcodec: "h264", Acodec: "aac", OnlineUser: 0, OnlineRtmp: 0, OnlineFlv: 0,
    OnlineHls: 0, Bw: 0, ...changes,
  };
}

const rows = liveRows(
  [
    stream("Studio", { OnlineUser: 5 }),
    stream("camera", { OnlineUser: 50, App: "event" }),
    stream("gate", { OnlineUser: 20, UniqueName: "second", Curfps: 0, FLR: 100 }),
  ],
  NOW,
);
const names = (shown: { Stream: string }[]) => shown.map((row) => row.Stream);

test("each word must be found somewhere, in any case", () => {
  expect(names(filterLive(rows, { ...NO_FILTER, text: " STUDIO  203.0 " }))).toEqual(["Studio"]);
  expect(names(filterLive(rows, { ...NO_FILTER, text: "studio event" }))).toEqual([]);
});

test("space, app and state narrow together", () => {
  expect(names(filterLive(rows, { ...NO_FILTER, app: "event" }))).toEqual(["camera"]);
  expect(names(filterLive(rows, { ...NO_FILTER, space: "second", health: "stalled" }))).toEqual(["gate"]);
  expect(names(filterLive(rows, { ...NO_FILTER, space: "second", health: "ok" }))).toEqual([]);
});

test("names are sorted without regard to case, states by gravity", () => {
  expect(names(arrangeLive(rows, NO_FILTER, { column: "stream", descending: false }, undefined))).toEqual(["camera", "gate", "Studio"]);
  expect(names(arrangeLive(rows, NO_FILTER, { column: "state", descending: true }, undefined))[0]).toBe("gate");
  expect(names(arrangeLive(rows, NO_FILTER, { column: "nothing", descending: false }, undefined))[0]).toBe("camera");
});

test("rows that are pointed at stay where they are when figures change", () => {
  const sort = { column: "viewers", descending: true };
  const before = arrangeLive(rows, NO_FILTER, sort, undefined);
  expect(names(before)).toEqual(["camera", "gate", "Studio"]);
  const changed = liveRows([stream("Studio", { OnlineUser: 500 }), ...rows.slice(1), stream("new", { OnlineUser: 900 })], NOW);
  const held = before.map((row) => row.key);
  expect(names(arrangeLive(changed, NO_FILTER, sort, held))).toEqual(["camera", "gate", "Studio", "new"]);
  expect(names(arrangeLive(changed, NO_FILTER, sort, undefined))).toEqual(["new", "Studio", "camera", "gate"]);
});
