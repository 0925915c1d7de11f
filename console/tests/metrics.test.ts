import { expect, test } from "vitest";

import { sumOver, valuesOf, withRecent } from "../src/metrics";
import type { StreamMetrics } from "../src/model";

const metrics: StreamMetrics = {
  UniqueName: "", App: "", Stream: "", Period: 10, Times: [100, 110, 120],
  Series: [
    { Name: "Streams", Unit: "", Values: [1, 2, 3] },
    { Name: "Errors", Unit: "", Values: [5, 0, 2] },
  ],
};
const total = (Time: number, Streams: number) => ({ Time, Streams, OnlineUser: 0, BwReal: 0, Bw: 0 });

test("a series is found by its name, another is empty", () => {
  expect(valuesOf(metrics, "Streams")).toEqual([1, 2, 3]);
  expect(valuesOf(metrics, "None")).toEqual([]);
  expect(valuesOf(undefined, "Streams")).toEqual([]);
});

test("a sum takes what is younger than the span, to the second", () => {
  expect(sumOver(metrics, "Errors", 21, 120)).toBe(7);
  expect(sumOver(metrics, "Errors", 20, 120)).toBe(2);
  expect(sumOver(undefined, "Errors", 20, 120)).toBeUndefined();
});

test("totals follow the readings, those that the readings cover do not", () => {
  const { times, lines } = withRecent(metrics, ["Streams"], [total(118, 9), total(120, 9), total(122, 4)]);
  expect(times).toEqual([100, 110, 120, 122]);
  expect(lines).toEqual([[1, 2, 3, 4]]);
});

test("without readings the totals stand alone", () => {
  expect(withRecent(undefined, ["Streams"], [total(5, 1)])).toEqual({ times: [5], lines: [[1]] });
});
