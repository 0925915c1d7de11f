import { describe, expect, test } from "vitest";

import {
  DASH,
  formatAge,
  formatBps,
  formatClock,
  formatDay,
  formatDuration,
  formatFps,
  formatKbps,
  formatNumber,
  formatOffset,
  formatTime,
  formatWholeKbps,
  fromLocalInput,
  splitBps,
  toLocalInput,
} from "../src/format";

describe("numbers", () => {
  test("are grouped, and unknown ones are a dash", () => {
    expect(formatNumber(12345, "en")).toBe("12,345");
    expect(formatNumber(12345.67, "zh", 1)).toBe("12,345.7");
    expect([0, 7, 999, 1000, 999_999, 1_000_000, -1234.5].map((n) => formatNumber(n, "en"))).toEqual(["0", "7", "999", "1,000", "999,999", "1,000,000", "-1,235"]);
    expect(formatNumber(undefined, "en")).toBe(DASH);
    expect(formatNumber(Number.NaN, "en")).toBe(DASH);
  });
  test("a value that rounds to nothing has no sign", () => {
    expect(formatNumber(-0.2, "en")).toBe("0");
    expect(formatNumber(-0.04, "en", 1)).toBe("0.0");
  });
});

describe("rates", () => {
  test("step up where the number would need a fourth digit", () => {
    expect(formatBps(0, "en")).toBe("0 bit/s");
    expect(formatBps(999, "en")).toBe("999 bit/s");
    expect(formatBps(999.6, "en")).toBe("1.00 kbit/s");
    expect(formatBps(999_400, "en")).toBe("999 kbit/s");
    expect(formatBps(999_600, "en")).toBe("1.00 Mbit/s");
    expect(formatBps(9_996_000, "en")).toBe("10.0 Mbit/s");
    expect(formatBps(99_960_000, "en")).toBe("100 Mbit/s");
    expect(formatBps(2_500_000_000_000_000, "en")).toBe("2,500 Tbit/s");
  });
  test("keep their sign, and kbit/s are a thousand bit/s", () => {
    expect(formatKbps(-12.5, "en")).toBe("-12.5 kbit/s");
    expect(formatKbps(2512, "en")).toBe("2.51 Mbit/s");
    expect(formatWholeKbps(2512.4, "en")).toBe("2,512 kbit/s");
    expect(formatWholeKbps(undefined, "en")).toBe(DASH);
    expect(formatKbps(undefined, "en")).toBe(DASH);
    expect(splitBps(undefined, "en")).toEqual({ value: DASH, unit: "" });
  });
  test("frames a second show digits only when there are any", () => {
    expect(formatFps(30, "en")).toBe("30");
    expect(formatFps(29.97, "en")).toBe("29.97");
    expect(formatFps(undefined, "en")).toBe(DASH);
  });
});

describe("durations", () => {
  test("grow by a part at a time", () => {
    expect(formatDuration(7, "en")).toBe("0:07");
    expect(formatDuration(59.9, "en")).toBe("0:59");
    expect(formatDuration(727, "en")).toBe("12:07");
    expect(formatDuration(11527, "en")).toBe("3:12:07");
    expect(formatDuration(86400, "en")).toBe("1 d 00:00:00");
    expect(formatDuration(184327, "zh")).toBe("2 天 03:12:07");
  });
  test("of days are short where there is little room", () => {
    expect(formatAge(86_399, "en")).toBe("23:59:59");
    expect(formatAge(86_400, "en")).toBe("1 d 0 h");
    expect(formatAge(184_327, "zh")).toBe("2 天 3 时");
    expect(formatAge(undefined, "en")).toBe(DASH);
  });
  test("are never negative", () => {
    expect(formatDuration(-5, "en")).toBe("0:00");
    expect(formatDuration(undefined, "en")).toBe(DASH);
  });
});

describe("times", () => {
  const noon = Date.UTC(2026, 10, 23, 4, 0, 9) / 1000;
  test("are written in the zone asked for", () => {
    expect(formatTime(noon, "Asia/Shanghai")).toBe("2026-11-23 12:00:09");
    expect(formatTime(noon, "UTC")).toBe("2026-11-23 04:00:09");
    expect(formatDay(noon, "America/New_York")).toBe("2026-11-22");
    expect(formatClock(noon, "Asia/Kolkata")).toBe("09:30:09");
  });
  test("the browser's own zone is the default", () => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    expect(formatTime(noon)).toBe(formatTime(noon, zone));
  });
  test("midnight is hour 00", () => {
    expect(formatTime(Date.UTC(2026, 0, 1) / 1000, "UTC")).toBe("2026-01-01 00:00:00");
  });
  test("none is a dash", () => {
    expect(formatTime(0)).toBe(DASH);
    expect(formatClock(undefined)).toBe(DASH);
  });
  test("offsets have a sign and minutes", () => {
    expect(formatOffset(noon, "Asia/Shanghai")).toBe("UTC+08:00");
    expect(formatOffset(noon, "Asia/Kolkata")).toBe("UTC+05:30");
    expect(formatOffset(noon, "America/New_York")).toBe("UTC-05:00");
    expect(formatOffset(noon, "UTC")).toBe("UTC+00:00");
  });
  test("a value goes through an input and back, to the minute", () => {
    expect(fromLocalInput(toLocalInput(noon))).toBe(noon - 9);
    expect(fromLocalInput("")).toBeUndefined();
    expect(fromLocalInput("2026-13-45T99:99")).toBeUndefined();
    expect(toLocalInput(0)).toBe("");
  });
});
