// The few drawings: 16 by 16, in the text's colour. Always beside a word or on a labelled control.
const PATHS = {
  close: "M4 4l8 8M12 4l-8 8",
  menu: "M2 4h12M2 8h12M2 12h12",
  up: "M4 10l4-4 4 4",
  down: "M4 6l4 4 4-4",
  left: "M10 4L6 8l4 4",
  right: "M6 4l4 4-4 4",
  copy: "M6 6V3h7v7h-3M3 6h7v7H3z",
  check: "M3 8.5l3.2 3.2L13 5",
  reload: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2L14 14",
  ban: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M4.2 4.2l7.6 7.6",
  play: "M5 3l8 5-8 5z",
  stop: "M4 4h8v8H4z",
  external: "M9 3h4v4M13 3L7.5 8.5M11 9v4H3V5h4",
  theme: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  account: "M8 3a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M3 13.5c.6-2.6 2.5-3.8 5-3.8s4.4 1.2 5 3.8",
  help: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M6.4 6.3c.1-1 .8-1.5 1.6-1.5s1.6.5 1.6 1.4c0 1.1-1.6 1.3-1.6 2.5M8 11v.2",
  download: "M8 2.5v7.5M4.5 7L8 10.5 11.5 7M3 13.5h10",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true" focusable="false">
      <path d={PATHS[name]} fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
