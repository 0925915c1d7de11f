import { useText } from "../i18n";
import { common } from "../i18n/common";
import { durationsTexts } from "../i18n/pages/durations";

export default function Durations() {
  const c = useText(common);
  const t = useText(durationsTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.durations}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
