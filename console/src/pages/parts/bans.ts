// Rows of the blacklist. Rule: pure.
export interface Ban {
  Stream: string;
  ForbidUnixTime: number;
  /** -1: asked for as permanent, which is 90 days. */
  ForbidTillUnixTime: number;
}

const PERMANENT = -1;
export const PERMANENT_SECONDS = 90 * 86_400;
const NAME_LIMIT = 256;
const NAME = /^[\p{L}\p{N}_.~@:-]+$/u;

export function isPermanent(ban: Ban): boolean {
  return ban.ForbidTillUnixTime === PERMANENT;
}

/** When the stream may push again, in Unix seconds. */
export function endOf(ban: Ban): number {
  return isPermanent(ban) ? ban.ForbidUnixTime + PERMANENT_SECONDS : ban.ForbidTillUnixTime;
}

/** Whether a text can be a stream's name at all; the service has the last word. */
export function isStreamName(text: string): boolean {
  return NAME.test(text) && [...text].length <= NAME_LIMIT && text !== "." && text !== "..";
}
