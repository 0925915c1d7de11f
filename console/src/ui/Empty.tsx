// What stands where nothing is: why, and what to do. And the quiet sign that something is on its way.
import type { ReactNode } from "react";

import { useText } from "../i18n";
import { common } from "../i18n/common";

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children && <div className="muted">{children}</div>}
    </div>
  );
}

export function Loading() {
  const t = useText(common);
  return (
    <div className="loading" role="status">
      <span className="loading-bar" aria-hidden="true" />
      <span className="muted">{t.loading}</span>
    </div>
  );
}
