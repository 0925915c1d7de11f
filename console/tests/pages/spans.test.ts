import { expect, test } from "vitest";
import { durationsFault, historyFault, oldestHistory } from "../../src/pages/parts/spans";

const DAY = 86_400;
const NOW = 1_790_000_000;

test("a window of five days is the longest for history", () => {
  expect(historyFault(NOW - 5 * DAY, NOW, NOW)).toBeNull();
  expect(historyFault(NOW - 5 * DAY - 1, NOW, NOW)).toBe("tooLong");
});

test("history reaches back 28 days", () => {
  expect(historyFault(oldestHistory(NOW), oldestHistory(NOW) + DAY, NOW)).toBeNull();
  expect(historyFault(oldestHistory(NOW) - 1, oldestHistory(NOW) + DAY, NOW)).toBe("tooOld");
});

test("a window must be readable, in order, and begun", () => {
  expect(historyFault(null, NOW, NOW)).toBe("unreadable");
  expect(historyFault(NOW, NOW - 1, NOW)).toBe("reversed");
  expect(historyFault(NOW + 1, NOW + 2, NOW)).toBe("future");
});

test("durations want two different days, the first within 60", () => {
  const today = NOW - (NOW % DAY);
  expect(durationsFault(today, today + DAY, today)).toBeNull();
  expect(durationsFault(today, today, today)).toBe("reversed");
  expect(durationsFault(today - 60 * DAY, today, today)).toBeNull();
  expect(durationsFault(today - 61 * DAY, today, today)).toBe("tooOld");
  expect(durationsFault(today + DAY, today + 2 * DAY, today)).toBe("future");
});
