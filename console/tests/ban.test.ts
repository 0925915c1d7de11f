import { expect, test } from "vitest";

import { LONGEST_SECONDS, planBan } from "../src/ban";

const NOW = 1_800_000_000;

test("a cut is the parameter 1 and has no end", () => {
  expect(planBan("once", 0, NOW)).toEqual({ forbidTill: 1, until: undefined });
});

test("spans are counted from now, the longest is the service's own", () => {
  expect(planBan("tenMinutes", 0, NOW)).toEqual({ forbidTill: NOW + 600, until: NOW + 600 });
  expect(planBan("hour", 0, NOW)).toEqual({ forbidTill: NOW + 3600, until: NOW + 3600 });
  expect(planBan("day", 0, NOW)).toEqual({ forbidTill: NOW + 86_400, until: NOW + 86_400 });
  expect(planBan("week", 0, NOW)).toEqual({ forbidTill: NOW + 604_800, until: NOW + 604_800 });
  expect(planBan("quarter", 0, NOW)).toEqual({ forbidTill: undefined, until: NOW + LONGEST_SECONDS });
});

test("a moment is from the next second to 90 days ahead", () => {
  expect(planBan("until", NOW, NOW)).toBe("past");
  expect(planBan("until", NOW + 1, NOW)).toEqual({ forbidTill: NOW + 1, until: NOW + 1 });
  expect(planBan("until", NOW + LONGEST_SECONDS, NOW)).toMatchObject({ until: NOW + LONGEST_SECONDS });
  expect(planBan("until", NOW + LONGEST_SECONDS + 1, NOW)).toBe("far");
  expect(planBan("until", Number.NaN, NOW)).toBe("past");
});
