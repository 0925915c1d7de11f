// A stream's state as a badge, and the dialog that says what the states mean.
import { HEALTHS, LOST_PERCENT, UPLINK_SHARE, YOUNG_SECONDS, type Health } from "../health";
import { useText } from "../i18n";
import { healthTexts } from "../i18n/pages/health";
import { Badge, type Shape, type Tone } from "./Badge";
import { Dialog } from "./Dialog";

const LOOKS: Record<Health, { tone: Tone; shape: Shape }> = {
  ok: { tone: "ok", shape: "circle" },
  lost: { tone: "warn", shape: "diamond" },
  uplink: { tone: "warn", shape: "triangle" },
  stalled: { tone: "bad", shape: "square" },
};

export function HealthBadge({ health }: { health: Health }) {
  const t = useText(healthTexts);
  return <Badge {...LOOKS[health]}>{t[health]}</Badge>;
}

export function HealthDialog({ onClose }: { onClose: () => void }) {
  const t = useText(healthTexts);
  const meanings: Record<Health, string> = {
    ok: t.okMeans,
    lost: t.lostMeans(LOST_PERCENT),
    uplink: t.uplinkMeans(UPLINK_SHARE * 100),
    stalled: t.stalledMeans,
  };
  return (
    <Dialog title={t.title} onClose={onClose}>
      <p>{t.intro}</p>
      <dl className="meanings">
        {[...HEALTHS].reverse().map((health) => (
          <div key={health}>
            <dt>
              <HealthBadge health={health} />
            </dt>
            <dd>{meanings[health]}</dd>
          </div>
        ))}
      </dl>
      <p>{t.young(YOUNG_SECONDS)}</p>
      <p className="muted">{t.terms}</p>
    </Dialog>
  );
}
