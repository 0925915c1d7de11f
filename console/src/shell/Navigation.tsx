// The pages, in groups. On a narrow screen they are behind a button.
import { useEffect, useState } from "react";

import { useText } from "../i18n";
import { common } from "../i18n/common";
import { href, type RouteName } from "../route";
import { Icon } from "../ui/Icon";

type Group = "groupNow" | "groupRecord" | "groupControl" | "groupSystem";

const GROUPS: readonly (readonly [Group, readonly Exclude<RouteName, "stream">[]])[] = [
  ["groupNow", ["overview", "live"]],
  ["groupRecord", ["history", "errors", "durations"]],
  ["groupControl", ["blacklist", "keys", "urls"]],
  ["groupSystem", ["nodes", "audit", "explorer"]],
];

export function Navigation({ current }: { current: RouteName }) {
  const t = useText(common);
  const [open, setOpen] = useState(false);

  useEffect(() => {
    const close = (): void => setOpen(false);
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Escape") setOpen(false);
    };
    window.addEventListener("hashchange", close);
    window.addEventListener("keydown", onKey);
    return () => {
      window.removeEventListener("hashchange", close);
      window.removeEventListener("keydown", onKey);
    };
  }, []);

  const within = current === "stream" ? "live" : current;
  return (
    <nav className={open ? "side open" : "side"} aria-label={t.navigation}>
      <button type="button" className="button quiet side-toggle" aria-expanded={open} aria-controls="pages" onClick={() => setOpen(!open)}>
        <Icon name={open ? "close" : "menu"} />
        <span>{open ? t.menu : t[within]}</span>
      </button>
      <div className="side-groups" id="pages">
        {GROUPS.map(([group, pages]) => (
          <div key={group} className="side-group">
            <p className="side-title" id={group}>
              {t[group]}
            </p>
            <ul aria-labelledby={group}>
              {pages.map((page) => (
                <li key={page}>
                  <a href={href(page)} aria-current={page === within ? (page === current ? "page" : "true") : undefined} onClick={() => setOpen(false)}>
                    {t[page]}
                  </a>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </div>
    </nav>
  );
}
