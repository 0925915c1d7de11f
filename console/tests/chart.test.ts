import { expect, test } from "vitest";

import { latestOf, niceMaximum, withHoles } from "../src/ui/chart";

test("a step of more than two periods and a half breaks the line", () => {
  expect(withHoles([0, 10, 35, 61], [[1, 2, 3, 4]], 10)).toEqual({ times: [0, 10, 35, 45, 61], lines: [[1, 2, 3, null, 4]] });
});

test("a value that is missing is a hole", () => {
  expect(withHoles([0, 10], [[1]], 10).lines).toEqual([[1, null]]);
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
