// Light and dark: as the system says, or as chosen here.
// Rule: colours live in tokens.css; scripts that draw ask for them by name.
import { createKeptStore } from "../store";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

export const theme = createKeptStore<Theme>("theme", THEMES, "system");

export function applyTheme(): void {
  const chosen = theme.get();
  if (chosen === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = chosen;
}

/** The colour a token has now, as a canvas takes it: light-dark() is settled by letting the browser compute it. */
export function colourOf(token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${token})`;
  probe.hidden = true;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** Calls back when the colours have changed: by the switch here, or by the system. */
export function onThemeChange(listener: () => void): () => void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", listener);
  const stop = theme.subscribe(listener);
  return () => {
    media.removeEventListener("change", listener);
    stop();
  };
}
