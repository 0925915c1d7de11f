// API explorer: any action, its form from the service model, its answer, and the request as an SDK would sign it.
import { useState } from "react";

import { callRaw, type RawAnswer } from "../api";
import { useAction, useMedia } from "../hooks";
import { useLanguage, useText } from "../i18n";
import { common } from "../i18n/common";
import { explorerTexts } from "../i18n/pages/explorer";
import "./parts/parts.css";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Check, Select } from "../ui/Field";
import { Tabs } from "../ui/Tabs";
import { ActionForm } from "./parts/ActionForm";
import { ACTIONS, isChanging, missingOf, parametersOf, type Action } from "./parts/actions";
import { RawAnswerView } from "./parts/RawAnswerView";
import { SignedView } from "./parts/SignedView";
import { NO_NAMES } from "./parts/names";
import { useFilters } from "./parts/query";
import { useNames } from "./parts/useNames";

const FIRST = "DescribeLiveStreams";
const DEFAULTS = { action: FIRST };
const WIDE = "(min-width: 1100px)";

export default function Explorer() {
  const t = useText(explorerTexts);
  const shared = useText(common);
  const [filters, change] = useFilters(DEFAULTS);
  const action = ACTIONS.find((one) => one.name === filters.action) ?? ACTIONS.find((one) => one.name === FIRST) ?? ACTIONS[0];
  return (
    <div className="page">
      <div className="page-head">
        <h1>{shared.explorer}</h1>
      </div>
      <p className="intro">{t.intro}</p>
      <div className="explorer">
        <ActionChoice chosen={action?.name ?? ""} onChoose={(name) => change({ action: name })} />
        {action && <Bench key={action.name} action={action} />}
      </div>
    </div>
  );
}

function ActionChoice({ chosen, onChoose }: { chosen: string; onChoose: (name: string) => void }) {
  const t = useText(explorerTexts);
  const wide = useMedia(WIDE);
  const groups = [
    { version: "2017-01-01", label: t.groupContract },
    { version: "2026-01-01", label: t.groupOwn },
  ];
  if (!wide) {
    return <Select label={t.action} value={chosen} choices={ACTIONS.map(({ name }) => ({ value: name, label: name }))} onChoose={onChoose} />;
  }
  return (
    <nav className="panel action-list" aria-label={t.action}>
      {groups.map(({ version, label }) => (
        <div key={version}>
          <p className="small muted action-group">{label}</p>
          <ul>
            {ACTIONS.filter((one) => one.version === version).map((one) => (
              <li key={one.name}>
                <button
                  type="button"
                  aria-current={one.name === chosen ? "true" : undefined}
                  title={isChanging(one) ? t.changes : undefined}
                  onClick={() => onChoose(one.name)}
                >
                  {one.name}
                </button>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

/** One action's form and what came of it; nothing of it outlives the choice of another action. */
function Bench({ action }: { action: Action }) {
  const t = useText(explorerTexts);
  const language = useLanguage();
  const { names } = useNames(NO_NAMES, () => undefined);
  const [typed, setTyped] = useState<Record<string, string>>({});
  const [dryRun, setDryRun] = useState(false);
  const [tab, setTab] = useState<"answer" | "signed">("answer");
  const [confirming, setConfirming] = useState(false);
  const [answer, setAnswer] = useState<RawAnswer>();
  // The names of other pages stand in the form until something else is typed.
  const values: Record<string, string> = { ...names, ...typed };
  const parameters = { ...parametersOf(action, values), ...(dryRun ? { DryRun: "true" } : {}) };
  const missing = missingOf(action, values);
  const send = useAction(async () => {
    setTab("answer");
    setAnswer(undefined);
    setAnswer(await callRaw(action.name, parameters, action.version));
  });
  const start = (): void => {
    setConfirming(false);
    void send.start();
  };
  return (
    <div className="bench">
      <form
        className="panel"
        aria-labelledby="action-name"
        onSubmit={(event) => {
          event.preventDefault();
          if (isChanging(action) && !dryRun) setConfirming(true);
          else start();
        }}
      >
        <ActionForm action={action} values={values} onChange={(name, value) => setTyped({ ...typed, [name]: value })} />
        {missing.length > 0 && <p className="small warn action-doc">{t.missing(missing.join(", "))}</p>}
        <div className="actions">
          <Button type="submit" look={isChanging(action) && !dryRun ? "danger" : "primary"} pending={send.pending}>
            {send.pending ? t.sending : t.send}
          </Button>
          <Check label={t.dryRun} title={t.dryRunHint} checked={dryRun} onChange={(event) => setDryRun(event.target.checked)} />
          <Button look="quiet" onClick={() => setTyped(Object.fromEntries(action.parameters.map(({ name }) => [name, ""])))}>
            {t.reset}
          </Button>
        </div>
      </form>
      <section className="panel" aria-label={t.answer}>
        <Tabs
          label={t.answer}
          chosen={tab}
          onChoose={setTab}
          tabs={[
            { id: "answer", label: t.answer, content: () => <RawAnswerView answer={answer} pending={send.pending} error={send.error} language={language} /> },
            {
              id: "signed",
              label: t.signed,
              content: () => <SignedView key={JSON.stringify(parameters)} action={action} parameters={parameters} />,
            },
          ]}
        />
      </section>
      {confirming && (
        <ConfirmDialog action={action} parameters={parameters} onClose={() => setConfirming(false)} onDo={start} />
      )}
    </div>
  );
}

interface ConfirmProps {
  action: Action;
  parameters: Readonly<Record<string, string | number>>;
  onClose: () => void;
  onDo: () => void;
}

function ConfirmDialog({ action, parameters, onClose, onDo }: ConfirmProps) {
  const t = useText(explorerTexts);
  const shared = useText(common);
  return (
    <Dialog
      title={t.confirmTitle(action.name)}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{shared.cancel}</Button>
          <Button look="danger" onClick={onDo}>
            {t.confirmDo}
          </Button>
        </>
      }
    >
      <p>{t.confirmText}</p>
      <pre className="code-block">{JSON.stringify(parameters, null, 2)}</pre>
    </Dialog>
  );
}
