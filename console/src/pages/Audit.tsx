import { useText } from "../i18n";
import { common } from "../i18n/common";
import { auditTexts } from "../i18n/pages/audit";

export default function Audit() {
  const c = useText(common);
  const t = useText(auditTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.audit}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
