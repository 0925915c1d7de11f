// A modal dialog on the browser's own <dialog>: it keeps the focus, closes on Esc, and gives the focus back.
// Rule: mounted means open; the owner unmounts it.
import { useEffect, useId, useRef, type ReactNode } from "react";

import { common } from "../i18n/common";
import { useText } from "../i18n";
import { classNames } from "./Button";
import { Icon } from "./Icon";

/** What takes the focus when a dialog opens: the first control of its content. */
const FIRST = ["input:checked", "input:not([type=radio])", "select", "textarea", "[data-focus]"];

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  /** The buttons, at the end. */
  actions?: ReactNode;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, actions, wide }: DialogProps) {
  const t = useText(common);
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);

  useEffect(() => {
    const dialog = element.current;
    if (!dialog) return;
    const before = document.activeElement;
    dialog.showModal();
    // The browser would choose the button that closes.
    const first = dialog.querySelector<HTMLElement>(FIRST.map((one) => `.dialog-content ${one}`).join(", ")) ?? dialog.querySelector<HTMLElement>(".dialog-actions button");
    first?.focus();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);

  return (
    <dialog
      ref={element}
      className={classNames("dialog", wide && "wide")}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      <div className="dialog-body">
        <header className="dialog-head">
          <h2 id={id}>{title}</h2>
          <button type="button" className="button quiet icon-only" aria-label={t.close} onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        <div className="dialog-content">{children}</div>
        {actions && <footer className="dialog-actions">{actions}</footer>}
      </div>
    </dialog>
  );
}
