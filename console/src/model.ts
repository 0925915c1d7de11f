// What the actions answer with, as far as the pages read it. Names and units are the contract's:
// times are Unix seconds, BwIn, BwInAudio, BwReal, BwDiff and Curbitrate are kbit/s, Bw is bit/s.

export interface StreamName {
  UniqueName: string;
  App: string;
  Pubdomain: string;
  Stream: string;
}

export interface LiveStream extends StreamName {
  SessionId: string;
  ClientIp: string;
  ClientPort: number;
  Node: string;
  PubTime: number;
  FrameRate: number;
  Curfps: number;
  FLR: number;
  Curbitrate: number;
  BwInAudio: number;
  BwIn: number;
  BwReal: number;
  BwDiff: number;
  Width: number;
  Height: number;
  SampleRate: number;
  Vcodec: string;
  Acodec: string;
  OnlineUser: number;
  OnlineRtmp: number;
  OnlineFlv: number;
  OnlineHls: number;
  Bw: number;
}

export interface LiveStreams {
  Count: number;
  UpdateTime: number;
  OnlineUser: number;
  BwReal: number;
  Bw: number;
  Streams: LiveStream[];
}

export interface Totals {
  Time: number;
  Streams: number;
  OnlineUser: number;
  BwReal: number;
  Bw: number;
}

export interface MetricSeries {
  Name: string;
  Unit: string;
  Values: number[];
}

export interface StreamMetrics {
  UniqueName: string;
  App: string;
  Stream: string;
  Period: number;
  Times: number[];
  Series: MetricSeries[];
}

export interface PublishDomain {
  Name: string;
  Auth: string;
  RecordedAs: string;
}

export interface PlayDomain {
  Id: string;
  Name: string;
  Auth: string;
}

export interface Space {
  UniqueName: string;
  Apps: string[];
  PublishDomains: PublishDomain[];
  PlayDomains: PlayDomain[];
  Durations: number;
  Callback: number;
}

export interface Spaces {
  AccountId: string;
  Region: string;
  Node: string;
  RtmpPort: number;
  PlayPort: number;
  ByAddress: number;
  Spaces: Space[];
}

export interface HistoryDetail {
  Clientip: string;
  Fintime: number;
  Pubtime: number;
  StatusCode: number;
  StatusMessage: string;
}

/** Of ListHistoryPubStreamsInfo and ListHistoryPubStreamsErrInfo. */
export interface History {
  UniqueName: string;
  App: string;
  Pubdomain: string;
  Count: number;
  Marker: number;
  Total: number;
  OrderTime: number;
  StartUnixTime: number;
  EndUnixTime: number;
  Result: { Stream: string; Detail: HistoryDetail[] }[];
}

export interface PlayUrl {
  Protocol: "rtmp" | "http+flv" | "hls";
  Url: string;
  Domain: string;
  Auth: string;
}

export interface StreamUrls {
  ExpireUnixTime: number;
  Push: { Url: string; Server: string; StreamKey: string; Auth: string };
  Plays: PlayUrl[];
}

/** Equal for two rows of the same live session's stream; unlike the session's id it survives a republish. */
export function streamKey(name: StreamName): string {
  return JSON.stringify([name.UniqueName, name.App, name.Pubdomain, name.Stream]);
}
