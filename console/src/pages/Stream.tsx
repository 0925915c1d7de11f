import { useText } from "../i18n";
import { common } from "../i18n/common";
import { streamTexts } from "../i18n/pages/stream";

export default function Stream() {
  const c = useText(common);
  const t = useText(streamTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.stream}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
