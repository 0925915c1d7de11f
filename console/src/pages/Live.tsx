import { useText } from "../i18n";
import { common } from "../i18n/common";
import { liveTexts } from "../i18n/pages/live";

export default function Live() {
  const c = useText(common);
  const t = useText(liveTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.live}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
