import { useText } from "../i18n";
import { common } from "../i18n/common";
import { keysTexts } from "../i18n/pages/keys";

export default function Keys() {
  const c = useText(common);
  const t = useText(keysTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.keys}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
