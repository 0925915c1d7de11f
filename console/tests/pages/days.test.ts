import { expect, test } from "vitest";
import { byDay, byStream, dayName, dayStart, offsetOf, parseDay, zoneName } from "../../src/pages/parts/days";

const at = (text: string) => Date.parse(text) / 1000;
const HOUR = 3600;

test.each([
  ["2026-01-31T00:00:00+08:00", 8 * HOUR, "UTC+08:00"],
  ["2026-01-31T00:00:00Z", 0, "UTC+00:00"],
  ["2026-01-31T00:00:00-05:00", -5 * HOUR, "UTC−05:00"],
  ["2026-01-31T00:00:00+05:45", 5.75 * HOUR, "UTC+05:45"],
  ["2026-01-31T00:00:00+13:00", 13 * HOUR, "UTC+13:00"],
  ["2026-01-31T00:00:00-10:00", -10 * HOUR, "UTC−10:00"],
])("midnight %s tells the zone", (text, offset, name) => {
  expect(offsetOf(at(text))).toBe(offset);
  expect(zoneName(offset)).toBe(name);
});

test("a day begins at the server's midnight", () => {
  expect(dayStart(at("2026-01-31T23:59:59+08:00"), 8 * HOUR)).toBe(at("2026-01-31T00:00:00+08:00"));
  expect(dayStart(at("2026-01-31T00:00:00+08:00"), 8 * HOUR)).toBe(at("2026-01-31T00:00:00+08:00"));
  expect(dayName(at("2026-01-31T23:59:59+08:00"), 8 * HOUR)).toBe("2026-01-31");
  expect(dayName(at("2026-01-31T20:00:00Z"), 8 * HOUR)).toBe("2026-02-01");
});

test("a day is read back to its midnight, and what is none is not", () => {
  expect(parseDay("2026-01-31", 8 * HOUR)).toBe(at("2026-01-31T00:00:00+08:00"));
  for (const text of ["", "2026-13-01", "31.1.2026", "2026-02-0x"]) expect(parseDay(text, 0)).toBeNull();
});

test("a push over midnight counts in both days", () => {
  const span = { stream: "s", start: at("2026-01-30T23:00:00+08:00"), end: at("2026-01-31T02:00:00+08:00") };
  expect(byDay([span], 8 * HOUR)).toEqual([
    { stream: "s", day: "2026-01-31", seconds: 2 * HOUR, pushes: 1 },
    { stream: "s", day: "2026-01-30", seconds: HOUR, pushes: 1 },
  ]);
  expect(byStream([span], 8 * HOUR)).toEqual([
    { stream: "s", seconds: 3 * HOUR, pushes: 1, days: 2, first: span.start, last: span.end },
  ]);
});

test("a push that ends at midnight does not touch the next day", () => {
  const span = { stream: "s", start: at("2026-01-30T23:00:00Z"), end: at("2026-01-31T00:00:00Z") };
  expect(byDay([span], 0)).toEqual([{ stream: "s", day: "2026-01-30", seconds: HOUR, pushes: 1 }]);
  expect(byStream([span], 0)[0]?.days).toBe(1);
});

test("a push of no length is still a push of its day", () => {
  const span = { stream: "s", start: at("2026-01-30T12:00:00Z"), end: at("2026-01-30T12:00:00Z") };
  expect(byDay([span], 0)).toEqual([{ stream: "s", day: "2026-01-30", seconds: 0, pushes: 1 }]);
  expect(byStream([span], 0)[0]).toMatchObject({ pushes: 1, days: 1, seconds: 0 });
});

test("pushes of one stream on one day add up, and the longest stream comes first", () => {
  const spans = [
    { stream: "a", start: 0, end: 100 },
    { stream: "b", start: 0, end: 1000 },
    { stream: "a", start: 200, end: 350 },
  ];
  expect(byStream(spans, 0).map((row) => [row.stream, row.seconds, row.pushes])).toEqual([["b", 1000, 1], ["a", 250, 2]]);
  expect(byDay(spans, 0).find((row) => row.stream === "a")).toEqual({ stream: "a", day: "1970-01-01", seconds: 250, pushes: 2 });
});

test("the sum over days is the sum over streams", () => {
  const spans = Array.from({ length: 50 }, (_, number) => ({ stream: `s${number % 7}`, start: number * 40_000, end: number * 40_000 + number * 9_000 }));
  const sum = (rows: { seconds: number }[]) => rows.reduce((total, row) => total + row.seconds, 0);
  expect(sum(byDay(spans, 5 * HOUR))).toBe(sum(byStream(spans, 5 * HOUR)));
});
