import { expect, test } from "vitest";

import { candidatesOf } from "../src/player";

const play = (Protocol: "rtmp" | "http+flv" | "hls", Url: string, Domain = "") => ({ Protocol, Url, Domain, Auth: "none" });

test("FLV is tried first, then HLS, each by address before by domain; RTMP never", () => {
  const plays = [
    play("rtmp", "rtmp://{host}:1935/live/a"),
    play("hls", "http://{host}:8081/live/a.m3u8"),
    play("http+flv", "http://play.demo.local:8081/live/a.flv", "play.demo.local"),
    play("http+flv", "http://{host}:8081/live/a.flv"),
  ];
  expect(candidatesOf(plays, "10.0.0.1")).toEqual([
    { protocol: "http+flv", url: "http://10.0.0.1:8081/live/a.flv" },
    { protocol: "hls", url: "http://10.0.0.1:8081/live/a.m3u8" },
  ]);
});

test("where nothing plays by address, the play domain does", () => {
  expect(candidatesOf([play("hls", "http://play.demo.local/live/a.m3u8?k=1&t=2", "play.demo.local")], "x")).toEqual([
    { protocol: "hls", url: "http://play.demo.local/live/a.m3u8?k=1&t=2" },
  ]);
});

test("without a way to play there is nothing to try", () => {
  expect(candidatesOf([play("rtmp", "rtmp://{host}/live/a")], "x")).toEqual([]);
});
