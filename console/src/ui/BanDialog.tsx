// Bans a stream in two steps: for how long, then what will happen and the button that does it.
// Rule: nothing is sent before the second step; a failure stays in the dialog with the service's code and text.
import { useEffect, useRef, useState } from "react";

import { planBan, PRESETS, type Preset } from "../ban";
import { call } from "../api";
import { nowSeconds } from "../clock";
import { formatNumber, formatTime } from "../format";
import { useAction } from "../hooks";
import { useLanguage, useText } from "../i18n";
import { banTexts } from "../i18n/pages/ban";
import { common } from "../i18n/common";
import type { LiveStream, StreamName } from "../model";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { ErrorNote } from "./ErrorNote";
import { Moment } from "./TimeRange";
import { toast } from "./Toast";

interface BanDialogProps {
  stream: StreamName;
  /** Its present figures: undefined when it is not known whether it is live, null when it is known not to be. */
  live?: LiveStream | null;
  /** Closed; `done` when the service has carried it out. */
  onClose: (done: boolean) => void;
}

export function BanDialog({ stream, live, onClose }: BanDialogProps) {
  const t = useText(banTexts);
  const c = useText(common);
  const [preset, setPreset] = useState<Preset>("hour");
  const [until, setUntil] = useState(() => nowSeconds() + 7200 - (nowSeconds() % 60));
  const [reviewing, setReviewing] = useState(false);
  const [fault, setFault] = useState<string>();
  // What is live may end while the dialog is open; what is told is what was so when it was opened.
  const [atOpening] = useState(live);
  const form = useRef<HTMLFormElement>(null);

  const ban = useAction(async () => {
    const plan = planBan(preset, until, nowSeconds());
    if (typeof plan === "string") return showFault(plan);
    const { UniqueName, App, Pubdomain, Stream } = stream;
    await call("ForbidStream", { UniqueName, App, Pubdomain, Stream, ForbidTillUnixTime: plan.forbidTill });
    toast(plan.until === undefined ? t.doneOnce(Stream) : t.doneUntil(Stream, formatTime(plan.until)));
    onClose(true);
  });

  function showFault(reason: "past" | "far"): void {
    setFault(reason === "past" ? t.untilPast : t.untilFar);
    setReviewing(false);
  }

  function review(): void {
    ban.clear();
    const plan = planBan(preset, until, nowSeconds());
    if (typeof plan === "string") return showFault(plan);
    setFault(undefined);
    setReviewing(true);
  }

  const actions = reviewing ? (
    <>
      <Button key="back" onClick={() => setReviewing(false)}>
        {t.back}
      </Button>
      <Button key="do" look="danger" pending={ban.pending} onClick={() => void ban.start()}>
        {preset === "once" ? t.cutNow : t.banNow}
      </Button>
    </>
  ) : (
    <>
      <Button key="cancel" onClick={() => onClose(false)}>
        {c.cancel}
      </Button>
      <Button key="review" look="primary" onClick={review}>
        {t.review}
      </Button>
    </>
  );

  return (
    <Dialog title={t.title} onClose={() => onClose(false)} actions={actions}>
      <dl className="facts">
        <dt>{t.stream}</dt>
        <dd>
          <strong>{stream.Stream}</strong>
        </dd>
        <dt>{t.place}</dt>
        <dd>
          {stream.UniqueName} / {stream.App} / {stream.Pubdomain}
        </dd>
      </dl>
      {reviewing ? (
        <Consequences preset={preset} until={until} live={atOpening} />
      ) : (
        <form
          ref={form}
          onSubmit={(event) => {
            event.preventDefault();
            review();
          }}
        >
          <Presets chosen={preset} onChoose={setPreset} />
          {preset === "until" && (
            <div className="ban-until">
              <Moment
                label={t.untilTime}
                value={until}
                min={nowSeconds()}
                onChange={(seconds) => {
                  setUntil(seconds);
                  setFault(undefined);
                }}
                fault={fault}
              />
            </div>
          )}
          <button type="submit" hidden />
        </form>
      )}
      {ban.error && (
        <>
          <ErrorNote error={ban.error} action="ForbidStream" />
          {ban.error.kind === "network" && <p>{t.unknown}</p>}
        </>
      )}
    </Dialog>
  );
}

function Presets({ chosen, onChoose }: { chosen: Preset; onChoose: (preset: Preset) => void }) {
  const t = useText(banTexts);
  const hints: Partial<Record<Preset, string>> = { once: t.onceHint, quarter: t.quarterHint };
  return (
    <fieldset className="presets">
      <legend>{t.howLong}</legend>
      {PRESETS.map((preset) => (
        <label key={preset} className="preset">
          <input type="radio" name="preset" value={preset} checked={preset === chosen} onChange={() => onChoose(preset)} />
          <span>{t[preset]}</span>
          {hints[preset] && <span className="muted small">{hints[preset]}</span>}
        </label>
      ))}
    </fieldset>
  );
}

function Consequences({ preset, until, live }: { preset: Preset; until: number; live: LiveStream | null | undefined }) {
  const t = useText(banTexts);
  const language = useLanguage();
  const [plan] = useState(() => planBan(preset, until, nowSeconds()));
  const box = useRef<HTMLDivElement>(null);
  // Read first; the button is two Tabs away, so that Enter pressed twice bans nothing.
  useEffect(() => box.current?.focus(), []);
  if (typeof plan === "string") return null;
  return (
    <div className="consequences" ref={box} tabIndex={-1} role="group" aria-label={t.whatHappens}>
      <h3>{t.whatHappens}</h3>
      <ul>
        {live ? <li>{t.pushEnds(`${live.ClientIp}:${live.ClientPort}`)}</li> : live === undefined ? <li>{t.pushEndsIfLive}</li> : null}
        {live && <li>{live.OnlineUser ? t.viewersEnd(formatNumber(live.OnlineUser, language), live.OnlineUser === 1) : t.noViewers}</li>}
        {plan.until === undefined ? (
          <>
            {live === null && <li>{t.nothingToCut}</li>}
            <li>{t.mayReturn}</li>
          </>
        ) : (
          <>
            <li>{t.refusedUntil(formatTime(plan.until))}</li>
            <li>{t.alreadyThere}</li>
            <li>{t.mayResume}</li>
          </>
        )}
      </ul>
    </div>
  );
}
