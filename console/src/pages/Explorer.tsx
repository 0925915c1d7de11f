import { useText } from "../i18n";
import { common } from "../i18n/common";
import { explorerTexts } from "../i18n/pages/explorer";

export default function Explorer() {
  const c = useText(common);
  const t = useText(explorerTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.explorer}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
