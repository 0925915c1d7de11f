import { expect, test } from "vitest";

import { healthOf, LOST_PERCENT, severityOf, YOUNG_SECONDS } from "../src/health";

const NOW = 1_000_000;
const good = { PubTime: NOW - 60, FrameRate: 30, Curfps: 30, FLR: 0, BwIn: 2000, BwReal: 2010, BwDiff: -10 };

test("a stream that comes as declared is ok", () => {
  expect(healthOf(good, NOW)).toBe("ok");
});

test("nothing received, or no frame of a declared video, is stalled", () => {
  expect(healthOf({ ...good, BwReal: 0 }, NOW)).toBe("stalled");
  expect(healthOf({ ...good, Curfps: 0, FLR: 100 }, NOW)).toBe("stalled");
});

test("audio alone has no frames and is not stalled", () => {
  expect(healthOf({ ...good, FrameRate: 0, Curfps: 0 }, NOW)).toBe("ok");
});

test("an uplink that carries a tenth less than the encoder makes is short, at the limit it is not", () => {
  expect(healthOf({ ...good, BwReal: 1800, BwDiff: 200 }, NOW)).toBe("ok");
  expect(healthOf({ ...good, BwReal: 1799, BwDiff: 201 }, NOW)).toBe("uplink");
});

test("frames are lost from the limit on", () => {
  expect(healthOf({ ...good, FLR: LOST_PERCENT - 1 }, NOW)).toBe("ok");
  expect(healthOf({ ...good, FLR: LOST_PERCENT }, NOW)).toBe("lost");
});

test("a stream that has just begun is not judged", () => {
  const fresh = { ...good, Curfps: 0, BwReal: 0 };
  expect(healthOf({ ...fresh, PubTime: NOW - YOUNG_SECONDS + 1 }, NOW)).toBe("ok");
  expect(healthOf({ ...fresh, PubTime: NOW - YOUNG_SECONDS }, NOW)).toBe("stalled");
});

test("severity follows the state first, then how much is missing", () => {
  const lost = { ...good, FLR: 40 };
  const worse = { ...good, FLR: 60 };
  const short = { ...good, BwReal: 1500, BwDiff: 500 };
  const stalled = { ...good, BwReal: 0, Curfps: 0 };
  const order = [good, lost, worse, short, stalled].map((stream) => severityOf(stream, NOW));
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(new Set(order).size).toBe(order.length);
});
