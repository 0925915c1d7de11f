// A text to take along: shown whole, copied by a button.
import { useState } from "react";

import { useText } from "../i18n";
import { common } from "../i18n/common";
import { Button } from "./Button";
import { Icon } from "./Icon";
import { toast } from "./Toast";

export function CopyButton({ text, label, small = true }: { text: string; label?: string; small?: boolean }) {
  const t = useText(common);
  const [done, setDone] = useState(false);
  async function copy(): Promise<void> {
    if (!(await copyText(text))) {
      toast(t.copyFailed);
      return;
    }
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  }
  const name = label ? `${t.copy}: ${label}` : t.copy;
  return (
    <Button small={small} aria-label={name} onClick={() => void copy()}>
      <Icon name={done ? "check" : "copy"} />
      <span aria-live="polite">{done ? t.copied : t.copy}</span>
    </Button>
  );
}

/** A line with a label: the text, selectable, and its button. */
export function CopyLine({ label, text }: { label: string; text: string }) {
  return (
    <div className="copy-line">
      <span className="copy-label">{label}</span>
      <code className="copy-text" tabIndex={0} role="textbox" aria-readonly="true" aria-label={label}>
        {text}
      </code>
      <CopyButton text={text} label={label} />
    </div>
  );
}

// The clipboard's own interface exists on https and localhost only; a console on a private network has neither.
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Older way, below.
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "hidden-visually";
  area.readOnly = true;
  const host = document.querySelector("dialog[open]") ?? document.body;
  const before = document.activeElement;
  host.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return copied;
}
