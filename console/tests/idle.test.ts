import { expect, test } from "vitest";

import { idleStep } from "../src/idle";

const IDLE = 60_000;

test("a session ends when nothing was done for the idle time, to the millisecond", () => {
  expect(idleStep(59_999, 0, 0, IDLE)).toBe("wait");
  expect(idleStep(60_000, 0, 0, IDLE)).toBe("end");
});

test("the service is told of use since it was last told, a sixth of the idle time later at the earliest", () => {
  expect(idleStep(9_999, 5_000, 0, IDLE)).toBe("wait");
  expect(idleStep(10_000, 5_000, 0, IDLE)).toBe("tell");
  expect(idleStep(20_000, 5_000, 10_000, IDLE)).toBe("wait");
});
