// How long a ban may be, and what ForbidStream is asked for it.
// Rule: pure. The contract's: 1 cuts only; absent is 90 days; a time is until then, 90 days at most.
export const PRESETS = ["once", "tenMinutes", "hour", "day", "week", "quarter", "until"] as const;
export type Preset = (typeof PRESETS)[number];

export const LONGEST_SECONDS = 90 * 86_400;

const SECONDS: Partial<Record<Preset, number>> = { tenMinutes: 600, hour: 3600, day: 86_400, week: 7 * 86_400 };

export interface BanPlan {
  /** The parameter; undefined is left out. */
  forbidTill: number | undefined;
  /** Until when, as it will be shown; undefined for a cut alone. */
  until: number | undefined;
}

export type BanFault = "past" | "far";

/** What a choice means now. `untilSeconds` is the chosen moment of the preset `until`. */
export function planBan(preset: Preset, untilSeconds: number, nowSeconds: number): BanPlan | BanFault {
  if (preset === "once") return { forbidTill: 1, until: undefined };
  if (preset === "quarter") return { forbidTill: undefined, until: nowSeconds + LONGEST_SECONDS };
  const seconds = SECONDS[preset];
  if (seconds !== undefined) return { forbidTill: nowSeconds + seconds, until: nowSeconds + seconds };
  if (!(untilSeconds > nowSeconds)) return "past";
  if (untilSeconds > nowSeconds + LONGEST_SECONDS) return "far";
  return { forbidTill: untilSeconds, until: untilSeconds };
}
