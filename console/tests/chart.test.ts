import { expect, test } from "vitest";

import { LEAST_SPAN_SECONDS, latestOf, niceMaximum, spanOf, withHoles } from "../src/ui/chart";

test("a step of more than two periods and a half breaks the line", () => {
  expect(withHoles([0, 10, 35, 61], [[1, 2, 3, 4]], 10)).toEqual({ times: [0, 10, 35, 45, 61], lines: [[1, 2, 3, null, 4]] });
});

test("a value that is missing is a hole", () => {
  expect(withHoles([0, 10], [[1]], 10).lines).toEqual([[1, null]]);
});

test("a span grows with what there is to show, from its least to its most", () => {
  expect(spanOf([], 10_000, 3600)).toEqual({ start: 10_000 - LEAST_SPAN_SECONDS, end: 10_000 });
  expect(spanOf([9990], 10_000, 3600).start).toBe(10_000 - LEAST_SPAN_SECONDS);
  expect(spanOf([9000, 9010], 10_000, 3600).start).toBe(9000);
  expect(spanOf([1000], 10_000, 3600).start).toBe(6400);
});

test("the latest value is the last that is one", () => {
  expect(latestOf([1, 2, null])).toBe(2);
  expect(latestOf([null])).toBeUndefined();
  expect(latestOf([])).toBeUndefined();
});

test("an axis ends at a round number not below the largest value", () => {
  expect(niceMaximum(0)).toBe(1);
  expect(niceMaximum(30)).toBe(40);
  expect(niceMaximum(97)).toBe(100);
  expect(niceMaximum(1800)).toBe(2000);
  expect(niceMaximum(Number.NaN)).toBe(1);
});
