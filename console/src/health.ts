// How a live stream is, from its figures. The rules are told to people by the live page, in its own words.
// Rule: pure; one state a stream, the gravest that holds.
import type { LiveStream } from "./model";

export const HEALTHS = ["ok", "lost", "uplink", "stalled"] as const;
export type Health = (typeof HEALTHS)[number];

/** Quality is measured over up to 10 s; before this age it says little. */
export const YOUNG_SECONDS = 5;
/** BwDiff above this share of BwIn: the uplink carries less than the encoder makes. Below it are chunk headers and jitter. */
export const UPLINK_SHARE = 0.1;
/** FLR, in percent, from which frames are missing visibly. */
export const LOST_PERCENT = 10;

type Figures = Pick<LiveStream, "PubTime" | "FrameRate" | "Curfps" | "FLR" | "BwIn" | "BwReal" | "BwDiff">;

/** stalled: nothing comes, or no frame of its video; uplink: BwDiff over the share; lost: FLR over the limit; else ok. */
export function healthOf(stream: Figures, nowSeconds: number): Health {
  if (nowSeconds - stream.PubTime < YOUNG_SECONDS) return "ok";
  if (stream.BwReal <= 0 || (stream.FrameRate > 0 && stream.Curfps <= 0)) return "stalled";
  if (stream.BwIn > 0 && stream.BwDiff > stream.BwIn * UPLINK_SHARE) return "uplink";
  if (stream.FLR >= LOST_PERCENT) return "lost";
  return "ok";
}

/** The worse the larger: by state, and within one by how much of the stream is missing. */
export function severityOf(stream: Figures, nowSeconds: number): number {
  const missing = Math.max(stream.FLR, stream.BwIn > 0 ? (stream.BwDiff / stream.BwIn) * 100 : 0, 0);
  return HEALTHS.indexOf(healthOf(stream, nowSeconds)) * 1000 + Math.min(missing, 999);
}
