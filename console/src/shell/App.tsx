// The frame: the login, or the pages with their navigation.
// Rule: live updates run exactly while somebody is logged in.
import { Component, lazy, Suspense, useEffect, useRef, type ComponentType, type ReactNode } from "react";

import { loadSession, session, type Session } from "../api";
import { forgetEvents, startEvents } from "../events";
import { watchIdle } from "../idle";
import { useText } from "../i18n";
import { common } from "../i18n/common";
import { useRoute, type RouteName } from "../route";
import { useStore } from "../store";
import { Loading } from "../ui/Empty";
import { Toasts } from "../ui/Toast";
import { Header } from "./Header";
import { Login } from "./Login";
import { Navigation } from "./Navigation";

const PAGES: Record<RouteName, ComponentType> = {
  overview: lazy(() => import("../pages/Overview")),
  live: lazy(() => import("../pages/Live")),
  stream: lazy(() => import("../pages/Stream")),
  history: lazy(() => import("../pages/History")),
  errors: lazy(() => import("../pages/Errors")),
  durations: lazy(() => import("../pages/Durations")),
  blacklist: lazy(() => import("../pages/Blacklist")),
  keys: lazy(() => import("../pages/Keys")),
  urls: lazy(() => import("../pages/Urls")),
  explorer: lazy(() => import("../pages/Explorer")),
  nodes: lazy(() => import("../pages/Nodes")),
  audit: lazy(() => import("../pages/Audit")),
};

/** How often a service that did not answer at all is asked again. */
const ASK_AGAIN_MS = 3000;

export function App() {
  const current = useStore(session);
  const loggedIn = Boolean(current);

  useEffect(() => {
    if (!loggedIn) return;
    startEvents();
    return forgetEvents;
  }, [loggedIn]);

  const idleSeconds = current?.IdleSeconds;
  useEffect(() => (idleSeconds ? watchIdle(idleSeconds) : undefined), [idleSeconds]);

  useEffect(() => {
    if (current !== undefined) return;
    const timer = setInterval(() => void loadSession().catch(() => undefined), ASK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [current]);

  return (
    <>
      {current === undefined ? <Loading /> : current ? <Frame session={current} /> : <Login />}
      <Toasts />
    </>
  );
}

function Frame({ session: current }: { session: Session }) {
  const t = useText(common);
  const route = useRoute();
  const main = useRef<HTMLElement>(null);
  const Page = PAGES[route.name];
  const place = `${route.name}/${route.parts.join("/")}`;
  const before = useRef(place);

  // A new page is told to screen readers by its heading; the first load leaves the focus alone.
  useEffect(() => {
    const title = route.name === "stream" ? (route.parts[3] ?? "") : t[route.name];
    document.title = `${title} · ${t.product}`;
    if (before.current === place) return;
    before.current = place;
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [place, route, t]);

  return (
    <div className="frame">
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {t.skip}
      </a>
      <Header session={current} />
      <Navigation current={route.name} />
      <main ref={main} id="main" tabIndex={-1} data-page={route.name}>
        <Crash key={place}>
          <Suspense fallback={<Loading />}>
            <Page key={place} />
          </Suspense>
        </Crash>
      </main>
    </div>
  );
}

class Crash extends Component<{ children: ReactNode }, { error: Error | undefined }> {
  override state = { error: undefined as Error | undefined };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    return this.state.error ? <Crashed error={this.state.error} /> : this.props.children;
  }
}

function Crashed({ error }: { error: Error }) {
  const t = useText(common);
  return (
    <div className="page">
      <h1>{t.pageCrashedTitle}</h1>
      <p>{t.pageCrashed}</p>
      <pre className="code-block">{error.message}</pre>
    </div>
  );
}
