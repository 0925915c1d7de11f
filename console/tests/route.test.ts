import { expect, test } from "vitest";

import { href, parseRoute, ROUTES, streamHref } from "../src/route";

test("every route is found again in its own address", () => {
  for (const name of ROUTES.filter((route) => route !== "stream")) {
    expect(parseRoute(href(name))).toEqual({ name, parts: [], query: {} });
  }
});

test("names of streams survive whatever they hold", () => {
  const name = { UniqueName: "demo", App: "live~1", Pubdomain: "push.demo.local", Stream: "直播:a@b.c <img src=x>/%2e?#&" };
  expect(parseRoute(streamHref(name))).toEqual({ name: "stream", parts: Object.values(name), query: {} });
});

test("filters are kept beside the route, empty ones are not", () => {
  expect(href("history", [], { stream: "a b", app: "" })).toBe("#/history?stream=a+b");
  expect(parseRoute("#/history?stream=a+b").query).toEqual({ stream: "a b" });
});

test("what is no route is the overview", () => {
  for (const fragment of ["", "#", "#/", "#/nowhere", "#/stream", "#/stream/a/b/c", "#/stream/a/b/c/", "#/live/%E0%A4%A"]) {
    expect(parseRoute(fragment).name).toBe("overview");
  }
});
