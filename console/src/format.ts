// Figures and times as people read them.
// Rule: pure; the language and the zone are arguments. k is 1000. A figure that is not known is a dash.
import type { Language } from "./i18n";

export const DASH = "–";

const LOCALE: Record<Language, string> = { en: "en-GB", zh: "zh-CN" };
const numberFormats = new Map<string, Intl.NumberFormat>();

function numberFormat(language: Language, digits: number): Intl.NumberFormat {
  const key = `${language}${digits}`;
  let format = numberFormats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(LOCALE[language], { minimumFractionDigits: digits, maximumFractionDigits: digits });
    numberFormats.set(key, format);
  }
  return format;
}

/** 12,345 or 12,345.6 with one digit; halves are rounded away from zero. */
export function formatNumber(value: number | undefined, language: Language, digits = 0): string {
  if (value === undefined || !Number.isFinite(value)) return DASH;
  // Both languages group by three with a comma; whole numbers are by far the most, and long tables are full of them.
  if (digits === 0 && Math.abs(value) < 1e15) return groupWhole(Math.round(Math.abs(value)), value < 0);
  const text = numberFormat(language, digits).format(value);
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text;
}

function groupWhole(size: number, isNegative: boolean): string {
  const sign = isNegative && size !== 0 ? "-" : "";
  if (size < 1000) return sign + String(size);
  const text = String(size);
  const first = text.length % 3 || 3;
  let grouped = text.slice(0, first);
  for (let at = first; at < text.length; at += 3) grouped += `,${text.slice(at, at + 3)}`;
  return sign + grouped;
}

const STEPS = [
  { unit: "Tbit/s", size: 1e12 },
  { unit: "Gbit/s", size: 1e9 },
  { unit: "Mbit/s", size: 1e6 },
  { unit: "kbit/s", size: 1e3 },
];

/** The value in the largest unit that leaves at least 1, with three digits that count. */
export function splitBps(bps: number | undefined, language: Language): { value: string; unit: string } {
  if (bps === undefined || !Number.isFinite(bps)) return { value: DASH, unit: "" };
  const size = Math.abs(bps);
  // 999.5 of a unit already reads as 1,000 of it, so the next unit begins there.
  const step = STEPS.find((candidate) => size >= candidate.size * 0.9995);
  if (!step) return { value: formatNumber(bps, language), unit: "bit/s" };
  const scaled = bps / step.size;
  const digits = Math.abs(scaled) >= 99.95 ? 0 : Math.abs(scaled) >= 9.995 ? 1 : 2;
  return { value: formatNumber(scaled, language, digits), unit: step.unit };
}

/** 2.51 Mbit/s, from bit/s. */
export function formatBps(bps: number | undefined, language: Language): string {
  const { value, unit } = splitBps(bps, language);
  return unit ? `${value} ${unit}` : value;
}

/** 2.51 Mbit/s, from kbit/s. */
export function formatKbps(kbps: number | undefined, language: Language): string {
  return formatBps(kbps === undefined ? undefined : kbps * 1000, language);
}

/** 2,512 kbit/s: always in kbit/s, so that figures beside each other compare. */
export function formatWholeKbps(kbps: number | undefined, language: Language): string {
  return kbps === undefined || !Number.isFinite(kbps) ? DASH : `${formatNumber(kbps, language)} kbit/s`;
}

const pad = (n: number): string => String(n).padStart(2, "0");

/** 0:07, 12:07, 3:12:07, 2 d 03:12:07. */
export function formatDuration(seconds: number | undefined, language: Language): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return DASH;
  const whole = Math.max(0, Math.floor(seconds));
  const days = Math.floor(whole / 86_400);
  const hours = Math.floor((whole % 86_400) / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (days) return `${days}${language === "zh" ? " 天 " : " d "}${pad(hours)}:${pad(minutes)}:${pad(whole % 60)}`;
  if (hours) return `${hours}:${pad(minutes)}:${pad(whole % 60)}`;
  return `${minutes}:${pad(whole % 60)}`;
}

/** As a duration, but from a day on in days and hours: 2 d 3 h. */
export function formatAge(seconds: number | undefined, language: Language): string {
  if (seconds === undefined || !(seconds >= 86_400)) return formatDuration(seconds, language);
  const hours = Math.floor((seconds % 86_400) / 3600);
  return language === "zh" ? `${Math.floor(seconds / 86_400)} 天 ${hours} 时` : `${Math.floor(seconds / 86_400)} d ${hours} h`;
}

const timeFormats = new Map<string, Intl.DateTimeFormat>();

function timeParts(unixSeconds: number, zone: string | undefined): Record<string, string> {
  if (zone === undefined) {
    const date = new Date(unixSeconds * 1000);
    return {
      year: String(date.getFullYear()),
      month: pad(date.getMonth() + 1),
      day: pad(date.getDate()),
      hour: pad(date.getHours()),
      minute: pad(date.getMinutes()),
      second: pad(date.getSeconds()),
    };
  }
  let format = timeFormats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    timeFormats.set(zone, format);
  }
  return Object.fromEntries(format.formatToParts(unixSeconds * 1000).map((part) => [part.type, part.value]));
}

/** 2026-11-23 03:18:22, in the browser's zone unless another is named. 0 is no time. */
export function formatTime(unixSeconds: number | undefined, zone?: string): string {
  if (!unixSeconds || !Number.isFinite(unixSeconds)) return DASH;
  const part = timeParts(unixSeconds, zone);
  return `${part["year"]}-${part["month"]}-${part["day"]} ${part["hour"]}:${part["minute"]}:${part["second"]}`;
}

/** 2026-11-23. */
export function formatDay(unixSeconds: number | undefined, zone?: string): string {
  return formatTime(unixSeconds, zone).slice(0, 10);
}

/** 03:18:22. */
export function formatClock(unixSeconds: number | undefined, zone?: string): string {
  const text = formatTime(unixSeconds, zone);
  return text === DASH ? text : text.slice(11);
}

/** UTC+08:00, the browser's (or the named) zone's offset at that time. */
export function formatOffset(unixSeconds: number, zone?: string): string {
  const part = timeParts(unixSeconds, zone);
  const shown = Date.UTC(
    Number(part["year"]),
    Number(part["month"]) - 1,
    Number(part["day"]),
    Number(part["hour"]),
    Number(part["minute"]),
    Number(part["second"]),
  );
  const minutes = Math.round((shown / 1000 - Math.floor(unixSeconds)) / 60);
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/** The value of an input of type datetime-local, in the browser's zone. */
export function toLocalInput(unixSeconds: number): string {
  return unixSeconds ? formatTime(unixSeconds).replace(" ", "T").slice(0, 16) : "";
}

/** Unix seconds of such an input's value; undefined when it holds no time. */
export function fromLocalInput(value: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/.test(value)) return undefined;
  const milliseconds = new Date(value).getTime();
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000);
}

/** 29.97 as 29.97, 30 as 30: frames a second, at most two digits. */
export function formatFps(fps: number | undefined, language: Language): string {
  if (fps === undefined || !Number.isFinite(fps)) return DASH;
  return formatNumber(fps, language, Number.isInteger(fps) ? 0 : 2);
}
