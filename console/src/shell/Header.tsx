// The bar on top: what is live right now, whether the figures are fresh, and the account's menu.
import { useEffect, useId, useRef, useState } from "react";

import { logout, type Session } from "../api";
import { eventsState, startEvents, stopEvents, totals, type EventsState } from "../events";
import { formatNumber, splitBps } from "../format";
import { LANGUAGES, language, useLanguage, useText } from "../i18n";
import { common } from "../i18n/common";
import { href } from "../route";
import { useStore } from "../store";
import { theme, THEMES } from "../theme";
import { Badge, type Tone } from "../ui/Badge";
import { Button } from "../ui/Button";
import { Select } from "../ui/Field";
import { Icon } from "../ui/Icon";
import { toast } from "../ui/Toast";

export function Header({ session }: { session: Session }) {
  const t = useText(common);
  return (
    <header className="bar">
      <a className="brand" href={href("overview")} aria-label={`${t.product}: ${t.overview}`}>
        <Mark />
        <span className="brand-name">{t.product}</span>
      </a>
      <Now />
      <Account session={session} />
    </header>
  );
}

export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" className="mark">
      <rect width="32" height="32" rx="7" fill="currentColor" />
      <path d="M9 8v16M9 17l9-9M13.5 12.5 20 24" className="mark-line" />
      <circle cx="24" cy="9" r="2.6" className="mark-dot" />
    </svg>
  );
}

function Now() {
  const t = useText(common);
  const language = useLanguage();
  const state = useStore(eventsState);
  const now = useStore(totals);
  const into = splitBps(now && now.BwReal * 1000, language);
  const out = splitBps(now?.Bw, language);
  const looks: Record<EventsState, { tone: Tone; text: string; hint: string }> = {
    idle: { tone: "plain", text: t.connectionConnecting, hint: "" },
    connecting: { tone: "plain", text: t.connectionConnecting, hint: "" },
    open: { tone: "ok", text: t.connectionLive, hint: t.connectionLiveHint },
    lost: { tone: "warn", text: t.connectionLost, hint: t.connectionLostHint },
    refused: { tone: "plain", text: t.connectionRefused, hint: t.connectionRefusedHint },
  };
  const look = looks[state];
  return (
    <div className="now">
      <span role="status" className="now-state">
        <Badge tone={look.tone} title={look.hint}>
          {look.text}
        </Badge>
      </span>
      <dl className={state === "lost" ? "now-figures stale" : "now-figures"}>
        <Figure label={t.streams} value={formatNumber(now?.Streams, language)} />
        <Figure label={t.viewers} value={formatNumber(now?.OnlineUser, language)} />
        <Figure label={t.bandwidthIn} value={into.value} unit={into.unit} />
        <Figure label={t.bandwidthOut} value={out.value} unit={out.unit} />
      </dl>
    </div>
  );
}

function Figure({ label, value, unit }: { label: string; value: string; unit?: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd className="tabular">
        {value}
        {unit && <span className="unit"> {unit}</span>}
      </dd>
    </div>
  );
}

function Account({ session }: { session: Session }) {
  const t = useText(common);
  const id = useId();
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const toggle = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    const away = (event: PointerEvent): void => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    const key = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      setOpen(false);
      toggle.current?.focus();
    };
    window.addEventListener("pointerdown", away);
    window.addEventListener("keydown", key);
    return () => {
      window.removeEventListener("pointerdown", away);
      window.removeEventListener("keydown", key);
    };
  }, [open]);

  async function leave(): Promise<void> {
    stopEvents(); // else they tell of the session's end before the answer does
    try {
      await logout();
    } catch (failure) {
      startEvents();
      toast(failure instanceof Error ? failure.message : String(failure));
    }
  }

  return (
    <div
      className="account"
      ref={box}
      onBlur={(event) => {
        if (event.relatedTarget && !box.current?.contains(event.relatedTarget as Node)) setOpen(false);
      }}
    >
      <button ref={toggle} type="button" className="button quiet" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        <Icon name="account" />
        <span className="account-name">{session.AccountId}</span>
        <span className="hidden-visually">{t.account}</span>
        <Icon name="down" size={12} />
      </button>
      {open && (
        <div className="account-menu" id={id} role="group" aria-label={t.account}>
          <dl className="facts">
            <dt>{t.account}</dt>
            <dd>{session.AccountId}</dd>
            <dt>{t.accessKey}</dt>
            <dd>
              <code>{session.AccessKey}</code>
              <br />
              <span className="muted small">{session.FullRights ? t.fullRights : t.restricted}</span>
            </dd>
            <dt>{t.region}</dt>
            <dd>{session.Region}</dd>
            <dt>{t.version}</dt>
            <dd>{session.Version}</dd>
          </dl>
          <Tastes />
          <Button onClick={() => void leave()}>{t.logout}</Button>
        </div>
      )}
    </div>
  );
}

const LANGUAGE_NAMES = { en: "English", zh: "中文" } as const;

/** Language and theme; also on the login. */
export function Tastes() {
  const t = useText(common);
  const chosenLanguage = useStore(language);
  const chosenTheme = useStore(theme);
  const themeNames = { system: t.themeSystem, light: t.themeLight, dark: t.themeDark } as const;
  return (
    <div className="tastes">
      <Select
        label={t.language}
        value={chosenLanguage}
        choices={LANGUAGES.map((value) => ({ value, label: LANGUAGE_NAMES[value] }))}
        onChoose={(value) => language.set(value)}
      />
      <Select
        label={t.theme}
        value={chosenTheme}
        choices={THEMES.map((value) => ({ value, label: themeNames[value] }))}
        onChoose={(value) => theme.set(value)}
      />
    </div>
  );
}
