// Where the page begins.
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { loadSession } from "./api";
import { language } from "./i18n";
import { App } from "./shell/App";
import { applyTheme, theme } from "./theme";
import "./theme/tokens.css";
import "./theme/base.css";
import "./ui/ui.css";
import "./ui/table.css";
import "./ui/chart.css";
import "./shell/shell.css";

applyTheme();
theme.subscribe(applyTheme);

function applyLanguage(): void {
  document.documentElement.lang = language.get() === "zh" ? "zh-CN" : "en";
}
applyLanguage();
language.subscribe(applyLanguage);

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
// A service out of reach is told by the shell, which asks again.
void loadSession().catch(() => undefined);
