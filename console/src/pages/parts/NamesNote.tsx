// What is to be said of the choice of names: none there are, or they have to be typed.
import { useText } from "../../i18n";
import { partsTexts } from "../../i18n/pages/parts";
import { Empty } from "../../ui/Empty";
import { ErrorNote } from "../../ui/ErrorNote";
import { areComplete } from "./names";
import type { ChosenNames } from "./useNames";

export function NamesNote({ chosen }: { chosen: ChosenNames }) {
  const t = useText(partsTexts);
  const { spaces, called, names } = chosen;
  if (spaces?.length === 0) return <Empty title={t.noSpacesTitle}>{t.noSpaces}</Empty>;
  if (spaces) return areComplete(names) ? null : <p className="muted">{t.namesMissing}</p>;
  if (called.error?.notAllowed) return <p className="muted">{t.spacesByHand}</p>;
  return <ErrorNote error={called.error} action="DescribeSpaces" onRetry={called.reload} />;
}
