// Where the page is: routes in the fragment, so that the server serves one file.
// Rule: each part of a route is encoded by itself; a name of a stream may hold anything.
import { useSyncExternalStore } from "react";

import type { StreamName } from "./model";

export const ROUTES = [
  "overview",
  "live",
  "stream",
  "history",
  "errors",
  "durations",
  "blacklist",
  "keys",
  "urls",
  "explorer",
  "nodes",
  "audit",
] as const;

export type RouteName = (typeof ROUTES)[number];

export interface Route {
  name: RouteName;
  /** The decoded parts after the name: of `stream` UniqueName, App, Pubdomain, Stream. */
  parts: string[];
  /** What follows `?` in the fragment: a page's filters, so that they can be linked to. */
  query: Record<string, string>;
}

const HOME: Route = { name: "overview", parts: [], query: {} };

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** The route of a fragment; home for one that is none. */
export function parseRoute(fragment: string): Route {
  const [path = "", search = ""] = splitOnce(fragment.replace(/^#\/?/, ""), "?");
  const [first, ...rest] = path.split("/");
  const name = ROUTES.find((route) => route === first);
  const parts = rest.map(decode);
  if (!name || parts.some((part) => part === undefined)) return HOME;
  if (name === "stream" && (parts.length !== 4 || parts.some((part) => part === ""))) return HOME;
  return { name, parts: parts as string[], query: Object.fromEntries(new URLSearchParams(search)) };
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

export function href(name: RouteName, parts: readonly string[] = [], query: Record<string, string> = {}): string {
  const filled = Object.entries(query).filter(([, value]) => value !== "");
  const search = filled.length ? `?${new URLSearchParams(filled).toString()}` : "";
  return `#/${[name, ...parts].map(encodeURIComponent).join("/")}${search}`;
}

export function streamHref(name: StreamName): string {
  return href("stream", [name.UniqueName, name.App, name.Pubdomain, name.Stream]);
}

export function navigate(name: RouteName, parts: readonly string[] = [], query: Record<string, string> = {}): void {
  window.location.hash = href(name, parts, query);
}

/** Puts a page's filters into the address without a new entry in the browser's history. */
export function replaceQuery(query: Record<string, string>): void {
  const route = parseRoute(window.location.hash);
  window.history.replaceState(null, "", href(route.name, route.parts, query));
}

let lastFragment: string | undefined;
let lastRoute = HOME;

function currentRoute(): Route {
  const fragment = window.location.hash;
  if (fragment !== lastFragment) {
    lastFragment = fragment;
    lastRoute = parseRoute(fragment);
  }
  return lastRoute;
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, currentRoute);
}
