import { useText } from "../i18n";
import { common } from "../i18n/common";
import { historyTexts } from "../i18n/pages/history";

export default function History() {
  const c = useText(common);
  const t = useText(historyTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.history}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
