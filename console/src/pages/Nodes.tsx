import { useText } from "../i18n";
import { common } from "../i18n/common";
import { nodesTexts } from "../i18n/pages/nodes";

export default function Nodes() {
  const c = useText(common);
  const t = useText(nodesTexts);
  return (
    <div className="page">
      <div className="page-head">
        <h1>{c.nodes}</h1>
      </div>
      <p className="muted">{t.intro}</p>
    </div>
  );
}
