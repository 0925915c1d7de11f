// A service made of nothing, to develop the console against: `npm run mock`, then `npm run dev`, or the built console at
// http://127.0.0.1:8080/console/. ROWS=10000 for a long list, PORT for another port. Any key pair logs in; the secret "no" does not;
// the access key "limited" may not list live streams or call ForbidStream.
// Rule: for development only; nothing of it is built or shipped.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const PORT = Number(process.env.PORT ?? 8080);
const ROWS = Number(process.env.ROWS ?? 40);
const STATIC = fileURLToPath(new URL("../../src/openkls/console/static/", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
  "media-src blob: 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
const BEGAN = Math.floor(Date.now() / 1000);
const now = () => Math.floor(Date.now() / 1000);

function random(seed) {
  const x = Math.sin(seed * 12.9898) * 43758.5453;
  return x - Math.floor(x);
}

function row(n) {
  const app = ["live", "live", "live", "event", "sports"][n % 5];
  const names = ["cam", "studio", "gate", "课堂", "<b>bold</b>", "desk"];
  const fps = [25, 30, 30, 50, 60][n % 5];
  const into = Math.round(800 + random(n) * 5200);
  const ill = n % 17 === 3 ? "uplink" : n % 23 === 5 ? "lost" : n % 41 === 7 ? "stalled" : "";
  const wobble = random(n + Math.floor(Date.now() / 2000));
  const current = ill === "stalled" ? 0 : ill === "lost" ? Math.round(fps * 0.8) : ill === "uplink" ? Math.round(fps * 0.85) : fps - (wobble > 0.9 ? 1 : 0);
  const real = ill === "stalled" ? 0 : ill === "uplink" ? into * 0.78 : into * (1.004 + wobble * 0.01);
  const rtmp = Math.floor(random(n + 1) * 20);
  const flv = Math.floor(random(n + 2) ** 4 * 3000);
  const hls = Math.floor(random(n + 3) ** 4 * 5000 + wobble * 4);
  return {
    UniqueName: n % 11 === 10 ? "second" : "demo",
    App: app,
    Pubdomain: "push.demo.local",
    Stream: `${names[n % names.length]}-${String(n).padStart(5, "0")}`,
    SessionId: `s-${n}`,
    ClientIp: `203.0.${Math.floor(n / 250) % 250}.${n % 250}`,
    ClientPort: 40000 + (n % 20000),
    Node: "10.0.0.1",
    PubTime: BEGAN - Math.floor(random(n + 4) * 90000),
    FrameRate: fps,
    Curfps: current,
    FLR: Math.max(0, Math.floor((1 - current / fps) * 100)),
    Curbitrate: into - 128,
    BwInAudio: 128,
    BwIn: into,
    BwReal: Math.round(real * 10) / 10,
    BwDiff: Math.round((into - real) * 10) / 10,
    Width: n % 3 ? 1280 : 1920,
    Height: n % 3 ? 720 : 1080,
    SampleRate: 44100,
    Vcodec: n % 9 ? "h264" : "hevc",
    Acodec: "aac",
    OnlineUser: rtmp + flv + hls,
    OnlineRtmp: rtmp,
    OnlineFlv: flv,
    OnlineHls: hls,
    Bw: Math.round((rtmp + flv + hls) * into * 1000),
  };
}

const banned = new Map();
function streams() {
  const all = Array.from({ length: ROWS }, (_, n) => row(n)).filter((one) => !banned.has(one.Stream));
  const sum = (name) => all.reduce((total, one) => total + one[name], 0);
  return { Count: all.length, UpdateTime: now(), OnlineUser: sum("OnlineUser"), BwReal: sum("BwReal"), Bw: sum("Bw"), Streams: all };
}

function metrics(asked) {
  const period = Number(asked.Period ?? 10);
  const span = period === 10 ? 3600 : 86400;
  const end = Math.floor(now() / period) * period;
  const Times = [];
  for (let at = end - span + period; at <= end; at += period) if (!(at > end - span * 0.6 && at < end - span * 0.56)) Times.push(at);
  const wave = (base, share, phase) => Times.map((time) => Math.max(0, base * (1 + share * Math.sin(time / (span / 9) + phase) + share * 0.3 * (random(time + phase) - 0.5))));
  const whole = (values) => values.map(Math.round);
  const series = asked.Stream
    ? [
        ["Curfps", "fps", whole(wave(28.5, 0.06, 0))],
        ["FrameRate", "fps", Times.map(() => 30)],
        ["FLR", "%", whole(wave(4, 0.5, 1))],
        ["BwIn", "kbit/s", wave(2500, 0.03, 2)],
        ["BwInAudio", "kbit/s", Times.map(() => 128)],
        ["BwReal", "kbit/s", wave(2450, 0.07, 2.1)],
        ["OnlineUser", "", whole(wave(340, 0.3, 3))],
        ["Bw", "bit/s", wave(8.1e8, 0.3, 3)],
      ]
    : [
        ["Streams", "", whole(wave(ROWS, 0.05, 0))],
        ["OnlineUser", "", whole(wave(ROWS * 900, 0.3, 1))],
        ["BwReal", "kbit/s", wave(ROWS * 3400, 0.05, 0)],
        ["Bw", "bit/s", wave(ROWS * 2.4e9, 0.3, 1)],
        ["Errors", "", Times.map((time) => (random(time) > 0.97 ? Math.ceil(random(time + 1) * 4) : 0))],
      ];
  return { UniqueName: "", App: "", Stream: asked.Stream ?? "", Period: period, Times, Series: series.map(([Name, Unit, Values]) => ({ Name, Unit, Values })) };
}

const actions = {
  DescribeLiveStreams: streams,
  DescribeStreamMetrics: metrics,
  DescribeSpaces: () => ({
    AccountId: "2000001",
    Region: "cn-beijing-6",
    Node: "10.0.0.1",
    RtmpPort: 1935,
    PlayPort: 8081,
    ByAddress: 1,
    Spaces: ["demo", "second"].map((UniqueName) => ({
      UniqueName,
      Apps: ["live", "event", "sports"],
      PublishDomains: [
        { Name: "push.demo.local", Auth: "none", RecordedAs: "push.demo.local" },
        { Name: "localhost", Auth: "none", RecordedAs: "push.demo.local" },
      ],
      PlayDomains: [{ Id: "1001", Name: "play.demo.local", Auth: "none" }],
      Durations: 1,
      Callback: 0,
    })),
  }),
  DescribeStreamUrls: (asked) => ({
    ExpireUnixTime: now() + 86400,
    Push: { Url: `rtmp://${asked.Pubdomain}:1935/${asked.App}/${asked.Stream}`, Server: `rtmp://${asked.Pubdomain}:1935/${asked.App}`, StreamKey: asked.Stream, Auth: "none" },
    Plays: [
      { Protocol: "rtmp", Url: `rtmp://{host}:1935/${asked.App}/${asked.Stream}`, Domain: "", Auth: "none" },
      { Protocol: "http+flv", Url: `http://{host}:8081/${asked.App}/${asked.Stream}.flv`, Domain: "", Auth: "none" },
      { Protocol: "hls", Url: `http://{host}:8081/${asked.App}/${asked.Stream}.m3u8`, Domain: "", Auth: "none" },
    ],
  }),
  ListHistoryPubStreamsInfo: (asked) => ({
    UniqueName: asked.UniqueName,
    App: asked.App,
    Pubdomain: asked.Pubdomain,
    Count: 4,
    Marker: 0,
    Total: 4,
    OrderTime: 0,
    StartUnixTime: now() - 5 * 86400,
    EndUnixTime: now(),
    Result: [
      {
        Stream: asked.Stream ?? "cam-00000",
        Detail: [200, 423, 200, 422].map((StatusCode, n) => ({
          Clientip: "203.0.113.7",
          Pubtime: now() - (n + 1) * 8000,
          Fintime: now() - (n + 1) * 8000 + 5231 * (n % 3),
          StatusCode,
          StatusMessage: { 200: "Success operation!", 423: "Forbidden by blacklist!", 422: "Already exist stream!" }[StatusCode],
        })),
      },
    ],
  }),
  ForbidStream: (asked) => {
    const till = Number(asked.ForbidTillUnixTime ?? 0);
    if (till === 1 && !streams().Streams.some((one) => one.Stream === asked.Stream)) return [8502, "stream is offline"];
    if (till !== 1) banned.set(asked.Stream, { ForbidTillUnixTime: till || now() + 90 * 86400, ForbidUnixTime: now(), Stream: asked.Stream });
    return {};
  },
  ResumeStream: (asked) => (banned.delete(asked.Stream) ? {} : [8201, "stream is not in the blacklist"]),
  GetBlacklist: (asked) => ({ App: asked.App, Pubdomain: asked.Pubdomain, UniqueName: asked.UniqueName, Total: banned.size, Recs: [...banned.values()] }),
};

let session;
const sessionBody = () => ({ AccountId: "2000001", AccessKey: session, Region: "cn-beijing-6", Version: "0.6.0", CsrfToken: "csrf", IdleSeconds: 1800, FullRights: session !== "limited" });
const refused = { Code: "InvalidAuthenticationCode", Message: "no policy allows it" };

function answer(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json", "Content-Security-Policy": POLICY });
  response.end(body === undefined ? "" : JSON.stringify(body));
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString() || "{}");
}

function events(response) {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const tell = (event, data) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  if (session === "limited") return tell("refused", refused);
  const all = () => tell("streams", streams());
  const totals = () => {
    const { UpdateTime, Count, OnlineUser, BwReal, Bw } = streams();
    tell("totals", { Time: UpdateTime, Streams: Count, OnlineUser, BwReal, Bw });
  };
  totals();
  all();
  const timers = [setInterval(totals, 2000), setInterval(all, Math.max(2000, ROWS))];
  response.on("close", () => timers.forEach(clearInterval));
}

createServer(async (request, response) => {
  const url = new URL(request.url, "http://x");
  const path = url.pathname;
  if (path === "/console/session") {
    if (request.method === "POST") {
      const given = await bodyOf(request);
      if (given.SecretKey === "no") return answer(response, 401, { Error: { Code: "LoginFailed", Message: "no such pair" }, RequestId: "r" });
      session = given.AccessKey;
    }
    if (request.method === "DELETE") {
      session = undefined;
      return answer(response, 204);
    }
    return session ? answer(response, 200, sessionBody()) : response.writeHead(204).end();
  }
  if (path === "/console/events") return session ? events(response) : answer(response, 401, {});
  if (path === "/console/call") {
    const name = url.searchParams.get("Action");
    const asked = await bodyOf(request);
    if (!session) return answer(response, 401, { Error: { Code: "NoSession", Message: "log in" }, RequestId: "r" });
    if (session === "limited" && /Forbid|LiveStreams|Metrics/.test(name)) return answer(response, 403, { Error: refused, RequestId: "b6e7" });
    const made = actions[name]?.(asked) ?? [4999, "not in the mock"];
    const Data = Array.isArray(made) ? { RetCode: made[0], RetMsg: made[1] } : { ...made, RetCode: 0, RetMsg: "success" };
    return answer(response, 200, { Data, RequestId: "4f1f0c2e-8f7a-4e53-8a6e-000000000000" });
  }
  const file = path === "/console" || path === "/console/" ? "index.html" : normalize(path.replace(/^\/console\//, ""));
  const full = join(STATIC, file);
  if (!full.startsWith(STATIC) || !existsSync(full)) return answer(response, 404, {});
  response.writeHead(200, { "Content-Type": TYPES[extname(full)] ?? "application/octet-stream", "Content-Security-Policy": POLICY });
  createReadStream(full).pipe(response);
}).listen(PORT, "127.0.0.1", () => console.log(`http://127.0.0.1:${PORT}/console/ with ${ROWS} streams`));
