// Making, rotating and disabling key pairs, and setting their policies.
// Rule: a secret is in memory while its dialog is open, and nowhere else.
import { useState, type ReactNode } from "react";

import { call, loadSession } from "../../api";
import { useAction } from "../../hooks";
import { useText } from "../../i18n";
import { common } from "../../i18n/common";
import { keysTexts } from "../../i18n/pages/keys";
import { Button } from "../../ui/Button";
import { CopyLine } from "../../ui/Copy";
import { Dialog } from "../../ui/Dialog";
import { ErrorNote } from "../../ui/ErrorNote";
import { Select } from "../../ui/Field";
import { toast } from "../../ui/Toast";
import { ACTION_NAMES } from "./actions";
import { isChangeable, type KeyEntry, type KeyPair } from "./keyEntries";
import { buildPolicy, indentPolicy, policyFault } from "./policy";
import { PolicyEditor } from "./PolicyEditor";

interface OfKey {
  of: KeyEntry;
  /** The session's own key. */
  own: boolean;
  onClose: () => void;
}

export function CreateDialog({ onClose, onMade }: { onClose: () => void; onMade: (pair: KeyPair) => void }) {
  const t = useText(keysTexts);
  // The least that is of use: a key with full rights has to be asked for.
  const [policy, setPolicy] = useState(() => buildPolicy("readOnly", ""));
  const create = useAction(async () => onMade(await call<KeyPair>("CreateAccessKey", { Policy: policy.trim() || undefined })));
  const broken = policyFault(policy, ACTION_NAMES) !== null;
  return (
    <Dialog
      title={t.createTitle}
      wide
      onClose={onClose}
      actions={<Choice onClose={onClose} text={t.createDo} pending={create.pending} disabled={broken} onDo={() => void create.start()} />}
    >
      <PolicyEditor value={policy} onChange={setPolicy} begin="readOnly" />
      <ErrorNote error={create.error} action="CreateAccessKey" />
    </Dialog>
  );
}

interface PolicyDialogProps extends OfKey {
  onDone: () => void;
  /** What else can be done with the key: where a row has no room for it, it is reached from here. */
  onOther: (kind: "rotate" | "disable") => void;
  allowed: boolean;
}

export function PolicyDialog({ of, own, onClose, onDone, onOther, allowed }: PolicyDialogProps) {
  const t = useText(keysTexts);
  const shared = useText(common);
  const [policy, setPolicy] = useState(() => indentPolicy(of.Policy));
  const set = useAction(async () => {
    await call("SetAccessKeyPolicy", { AccessKey: of.AccessKey, Policy: policy.trim() });
    toast(t.policySet(of.AccessKey));
    // What this session may do has changed with it.
    if (own) await loadSession();
    onDone();
    onClose();
  });
  const readOnly = !allowed || !isChangeable(of);
  const broken = policyFault(policy, ACTION_NAMES) !== null;
  return (
    <Dialog
      title={t.policyOf(of.AccessKey)}
      wide
      onClose={onClose}
      actions={
        readOnly ? (
          <Button onClick={onClose}>{shared.close}</Button>
        ) : (
          <Choice onClose={onClose} text={t.policySave} pending={set.pending} disabled={broken} onDo={() => void set.start()} />
        )
      }
    >
      {readOnly && of.Source === "configuration" && <p className="muted">{t.readOnly}</p>}
      {!readOnly && (
        <div className="actions">
          <Button small onClick={() => onOther("rotate")}>
            {t.rotate}
          </Button>
          <Button small onClick={() => onOther("disable")}>
            {t.disable}
          </Button>
        </div>
      )}
      <PolicyEditor value={policy} onChange={setPolicy} readOnly={readOnly} />
      {!readOnly && <p className="muted">{t.policyNote}</p>}
      {!readOnly && own && <Warning>{t.policyOwn}</Warning>}
      <ErrorNote error={set.error} action="SetAccessKeyPolicy" />
    </Dialog>
  );
}

export function RotateDialog({ of, own, onClose, onMade }: OfKey & { onMade: (pair: KeyPair) => void }) {
  const t = useText(keysTexts);
  const [grace, setGrace] = useState("86400");
  const rotate = useAction(async () =>
    onMade(await call<KeyPair>("RotateAccessKey", { AccessKey: of.AccessKey, GraceSeconds: Number(grace) })),
  );
  return (
    <Dialog
      title={t.rotateTitle}
      onClose={onClose}
      actions={<Choice onClose={onClose} text={t.rotateDo} pending={rotate.pending} onDo={() => void rotate.start()} />}
    >
      <p className="break">
        <code>{of.AccessKey}</code>
      </p>
      <p>{t.rotateText}</p>
      {own && <Warning>{t.rotateOwn}</Warning>}
      <Select
        label={t.grace}
        value={grace}
        choices={[
          { value: "0", label: t.graceNone },
          { value: "3600", label: t.graceHour },
          { value: "86400", label: t.graceDay },
          { value: "604800", label: t.graceWeek },
        ]}
        onChoose={setGrace}
      />
      <ErrorNote error={rotate.error} action="RotateAccessKey" />
    </Dialog>
  );
}

export function DisableDialog({ of, own, onClose, onDone }: OfKey & { onDone: () => void }) {
  const t = useText(keysTexts);
  const disable = useAction(async () => {
    await call("DisableAccessKey", { AccessKey: of.AccessKey });
    toast(t.disabled(of.AccessKey));
    onDone();
    onClose();
  });
  return (
    <Dialog
      title={t.disableTitle}
      onClose={onClose}
      actions={<Choice onClose={onClose} danger text={t.disableDo} pending={disable.pending} onDo={() => void disable.start()} />}
    >
      <p className="break">
        <code>{of.AccessKey}</code>
      </p>
      <p>{t.disableText}</p>
      {own && <Warning>{t.disableOwn}</Warning>}
      <ErrorNote error={disable.error} action="DisableAccessKey" />
    </Dialog>
  );
}

/** The pair that was made: its secret is seen here and never again, so that a slip of the mouse does not close it. */
export function NewPair({ pair, onClose }: { pair: KeyPair; onClose: () => void }) {
  const t = useText(keysTexts);
  const [asked, setAsked] = useState(false);
  return (
    <Dialog
      title={t.newTitle}
      onClose={() => (asked ? onClose() : setAsked(true))}
      actions={
        <Button look="primary" onClick={onClose}>
          {t.stored}
        </Button>
      }
    >
      <p>{t.newText}</p>
      <div>
        <CopyLine label={t.columnKey} text={pair.AccessKey} />
        <CopyLine label={t.secret} text={pair.SecretKey} />
      </div>
      {asked && <Warning>{t.newAsked}</Warning>}
    </Dialog>
  );
}

function Warning({ children }: { children: ReactNode }) {
  return (
    <p className="note-line warn-line" role="note">
      {children}
    </p>
  );
}

interface ChoiceProps {
  onClose: () => void;
  onDo: () => void;
  text: string;
  pending: boolean;
  disabled?: boolean;
  danger?: boolean;
}

function Choice({ onClose, onDo, text, pending, disabled, danger }: ChoiceProps) {
  const shared = useText(common);
  return (
    <>
      <Button onClick={onClose}>{shared.cancel}</Button>
      <Button look={danger ? "danger" : "primary"} pending={pending} disabled={disabled} onClick={onDo}>
        {text}
      </Button>
    </>
  );
}
