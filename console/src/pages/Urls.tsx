import { useText } from "../i18n";
import { common } from "../i18n/common";
import { urlsTexts } from "../i18n/pages/urls";

export default function Urls() {
  const c = useText(common);
  const t = useText(urlsTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.urls}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
