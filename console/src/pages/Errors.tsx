import { useText } from "../i18n";
import { common } from "../i18n/common";
import { errorsTexts } from "../i18n/pages/errors";

export default function Errors() {
  const c = useText(common);
  const t = useText(errorsTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.errors}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
