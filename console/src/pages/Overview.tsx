import { useText } from "../i18n";
import { common } from "../i18n/common";
import { overviewTexts } from "../i18n/pages/overview";

export default function Overview() {
  const c = useText(common);
  const t = useText(overviewTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.overview}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
