// Leafing through pages that the service makes.
import { formatNumber } from "../../format";
import { useLanguage, useText } from "../../i18n";
import { common } from "../../i18n/common";
import { Button } from "../../ui/Button";
import { Icon } from "../../ui/Icon";

interface PagerProps {
  /** From 0. */
  page: number;
  pages: number;
  onPage: (page: number) => void;
  /** Pages that can be reached; a service may refuse to go further. */
  pending?: boolean;
}

export function Pager({ page, pages, onPage, pending }: PagerProps) {
  const t = useText(common);
  const language = useLanguage();
  if (pages <= 1 && page === 0) return null;
  return (
    <nav className="pager" aria-label={t.pageOf(formatNumber(page + 1, language), formatNumber(pages, language))}>
      <Button small disabled={page === 0} pending={pending} onClick={() => onPage(page - 1)} aria-label={t.previousPage}>
        <Icon name="left" />
      </Button>
      <span className="tabular" aria-live="polite">
        {t.pageOf(formatNumber(page + 1, language), formatNumber(pages, language))}
      </span>
      <Button small disabled={page + 1 >= pages} pending={pending} onClick={() => onPage(page + 1)} aria-label={t.nextPage}>
        <Icon name="right" />
      </Button>
    </nav>
  );
}
