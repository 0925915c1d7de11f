// Plays a live stream in a video element: HTTP-FLV by mpegts.js, and HLS by hls.js where that fails.
// Rule: the players are loaded when a preview is started, work without workers and without eval (the page's policy), and
// are destroyed by stop(); after it nothing of them calls back.
import type { PlayUrl } from "./model";

export type PlayProtocol = "http+flv" | "hls";

export interface Candidate {
  protocol: PlayProtocol;
  url: string;
}

/** What to try, in order: FLV before HLS, by address before by a play domain. `{host}` becomes the page's own host. */
export function candidatesOf(plays: readonly PlayUrl[], hostname: string): Candidate[] {
  const order: readonly PlayProtocol[] = ["http+flv", "hls"];
  return order.flatMap((protocol) => {
    const urls = plays.filter((play) => play.Protocol === protocol);
    const chosen = urls.find((play) => play.Domain === "") ?? urls[0];
    return chosen ? [{ protocol, url: chosen.Url.replaceAll("{host}", hostname) }] : [];
  });
}

export interface Playing {
  protocol: PlayProtocol;
  stop: () => void;
}

/** No picture after this long: the next way is tried. */
const FIRST_FRAME_MS = 10_000;

export class PlayFault extends Error {}

type Start = (video: HTMLVideoElement, url: string, onFault: (reason: string) => void) => Promise<() => void>;

const startFlv: Start = async (video, url, onFault) => {
  const { default: mpegts } = await import("mpegts.js");
  if (!mpegts.isSupported()) throw new PlayFault("Media Source Extensions");
  mpegts.LoggingControl.enableAll = false;
  const player = mpegts.createPlayer(
    { type: "flv", isLive: true, url, cors: true, withCredentials: false },
    {
      enableWorker: false,
      enableStashBuffer: false,
      lazyLoad: false,
      autoCleanupSourceBuffer: true,
      liveBufferLatencyChasing: true,
      liveBufferLatencyMaxLatency: 3,
      liveBufferLatencyMinRemain: 0.8,
    },
  );
  player.on(mpegts.Events.ERROR, (type: string, detail: string) => onFault(`${type}: ${detail}`));
  player.on(mpegts.Events.LOADING_COMPLETE, () => onFault("end"));
  player.attachMediaElement(video);
  player.load();
  return () => player.destroy();
};

const startHls: Start = async (video, url, onFault) => {
  const { default: Hls } = await import("hls.js/light");
  if (!Hls.isSupported()) {
    if (!video.canPlayType("application/vnd.apple.mpegurl")) throw new PlayFault("Media Source Extensions");
    video.src = url;
    const failed = (): void => onFault(video.error?.message ?? "media");
    video.addEventListener("error", failed);
    return () => {
      video.removeEventListener("error", failed);
      video.removeAttribute("src");
      video.load();
    };
  }
  const player = new Hls({ enableWorker: false, liveSyncDurationCount: 2 });
  player.on(Hls.Events.ERROR, (_event, fault) => {
    if (fault.fatal) onFault(`${fault.type}: ${fault.details}`);
  });
  player.loadSource(url);
  player.attachMedia(video);
  return () => player.destroy();
};

const STARTS: Record<PlayProtocol, Start> = { "http+flv": startFlv, hls: startHls };

/**
 * Plays the first candidate that gives a picture. Throws PlayFault with what each said when none does.
 * `onEnd` is called once if the stream ends or breaks afterwards.
 */
export async function play(video: HTMLVideoElement, candidates: readonly Candidate[], onEnd: (reason: string) => void, signal: AbortSignal): Promise<Playing> {
  const said: string[] = [];
  for (const candidate of candidates) {
    try {
      return await playOne(video, candidate, onEnd, signal);
    } catch (fault) {
      if (signal.aborted) throw fault;
      said.push(`${candidate.protocol}: ${fault instanceof Error ? fault.message : String(fault)}`);
    }
  }
  throw new PlayFault(said.join("; "));
}

async function playOne(video: HTMLVideoElement, candidate: Candidate, onEnd: (reason: string) => void, signal: AbortSignal): Promise<Playing> {
  let fail: (reason: string) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    fail = (reason) => reject(new PlayFault(reason));
  });
  failed.catch(() => undefined); // it may fail before anybody waits for it
  const destroy = await STARTS[candidate.protocol](video, candidate.url, (reason) => fail(reason));
  let stopped = false;
  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    fail = () => undefined;
    destroy();
  };
  try {
    await Promise.race([failed, firstFrame(video, signal)]);
  } catch (fault) {
    stop();
    throw fault;
  }
  fail = (reason) => {
    if (stopped) return;
    stop();
    onEnd(reason);
  };
  return { protocol: candidate.protocol, stop };
}

function firstFrame(video: HTMLVideoElement, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new PlayFault("no picture")), FIRST_FRAME_MS);
    const came = (): void => {
      clearTimeout(late);
      resolve();
    };
    video.addEventListener("playing", came, { once: true, signal });
    signal.addEventListener("abort", () => {
      clearTimeout(late);
      reject(signal.reason as Error);
    });
    void video.play().catch((fault: unknown) => {
      // A source that is attached late interrupts the first play(); only what the browser forbids is final.
      if (fault instanceof DOMException && fault.name === "NotAllowedError") reject(fault);
    });
    video.addEventListener("loadeddata", () => void video.play().catch(() => undefined), { once: true, signal });
  });
}
