import { useText } from "../i18n";
import { common } from "../i18n/common";
import { blacklistTexts } from "../i18n/pages/blacklist";

export default function Blacklist() {
  const c = useText(common);
  const t = useText(blacklistTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.blacklist}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
