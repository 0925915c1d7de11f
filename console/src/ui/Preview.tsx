// The preview of a live stream: started by a button, muted, and stopped when nobody can see it.
// Rule: nothing is fetched before the button; leaving, hiding the page or the stream's end stops the player.
import { useCallback, useEffect, useRef, useState } from "react";

import { call } from "../api";
import { asCallError } from "../hooks";
import { useText } from "../i18n";
import { streamTexts } from "../i18n/pages/stream";
import type { StreamName, StreamUrls } from "../model";
import { candidatesOf, play, PlayFault, type Playing } from "../player";
import { Button } from "./Button";
import { ErrorNote } from "./ErrorNote";
import { Icon } from "./Icon";
import type { CallError } from "../api";

type Phase = { is: "idle"; note?: string; detail?: string; error?: CallError } | { is: "starting" } | { is: "playing"; protocol: string };

export function Preview({ stream, isLive }: { stream: StreamName; isLive: boolean }) {
  const t = useText(streamTexts);
  const video = useRef<HTMLVideoElement>(null);
  const playing = useRef<Playing>(undefined);
  const starting = useRef<AbortController>(undefined);
  const [phase, setPhase] = useState<Phase>({ is: "idle" });

  const stop = useCallback((note?: string, detail?: string) => {
    starting.current?.abort(new DOMException("stopped", "AbortError"));
    starting.current = undefined;
    playing.current?.stop();
    playing.current = undefined;
    setPhase({ is: "idle", note, detail });
  }, []);

  useEffect(() => {
    const hidden = (): void => {
      if (document.visibilityState === "hidden" && (playing.current || starting.current)) stop(t.previewHidden);
    };
    document.addEventListener("visibilitychange", hidden);
    return () => document.removeEventListener("visibilitychange", hidden);
  }, [stop, t]);

  useEffect(
    () => () => {
      starting.current?.abort(new DOMException("left", "AbortError"));
      playing.current?.stop();
      playing.current = undefined;
    },
    [],
  );

  useEffect(() => {
    if (!isLive && (playing.current || starting.current)) stop(t.previewEnded);
  }, [isLive, stop, t]);

  async function start(): Promise<void> {
    const element = video.current;
    if (!element) return;
    const abort = new AbortController();
    starting.current = abort;
    setPhase({ is: "starting" });
    try {
      const { UniqueName, App, Pubdomain, Stream } = stream;
      const urls = await call<StreamUrls>("DescribeStreamUrls", { UniqueName, App, Pubdomain, Stream }, { signal: abort.signal });
      const candidates = candidatesOf(urls.Plays, window.location.hostname);
      if (candidates.length === 0) return stop(t.previewNoWay);
      const ended = (reason: string): void => stop(reason === "end" ? t.previewEnded : t.previewBroke, reason === "end" ? undefined : reason);
      const started = await play(element, candidates, ended, abort.signal);
      if (abort.signal.aborted) return started.stop();
      playing.current = started;
      setPhase({ is: "playing", protocol: started.protocol });
    } catch (fault) {
      if (abort.signal.aborted) return;
      if (fault instanceof PlayFault) {
        const isMixed = window.location.protocol === "https:";
        stop(isMixed ? `${t.previewFailed} ${t.previewMixed}` : t.previewFailed, fault.message);
      } else {
        setPhase({ is: "idle", error: asCallError(fault) });
      }
    } finally {
      if (starting.current === abort) starting.current = undefined;
    }
  }

  return (
    <section className="panel preview" aria-label={t.preview} data-preview={phase.is}>
      <div className="preview-stage">
        <video ref={video} muted playsInline hidden={phase.is === "idle"} aria-label={`${t.preview}: ${stream.Stream}`} />
        {phase.is === "idle" && (
          <div className="preview-start">
            {phase.note && <p role="status">{phase.note}</p>}
            {phase.detail && <p className="muted small break">{phase.detail}</p>}
            {isLive ? (
              <>
                <Button look="primary" onClick={() => void start()}>
                  <Icon name="play" />
                  {t.startPreview}
                </Button>
                <p className="muted small">{t.previewHint}</p>
              </>
            ) : (
              <p className="muted">{t.previewOffline}</p>
            )}
          </div>
        )}
        {phase.is === "starting" && <p role="status">{t.previewStarting}</p>}
      </div>
      {phase.is === "idle" && phase.error && <ErrorNote error={phase.error} action="DescribeStreamUrls" />}
      {phase.is !== "idle" && (
        <div className="preview-bar">
          <span className="muted small">{phase.is === "playing" ? `${t.playingBy(phase.protocol)} · ${t.mute}` : t.previewStarting}</span>
          <Button small onClick={() => stop()}>
            <Icon name="stop" />
            {t.stopPreview}
          </Button>
        </div>
      )}
    </section>
  );
}
