import { dictionary } from "../index";

export const healthTexts = dictionary(
  {
    ok: "OK",
    lost: "Frames lost",
    uplink: "Uplink short",
    stalled: "Stalled",
    title: "What the states mean",
    intro: "One state a stream: the gravest that holds. Figures are taken over the last 10 s.",
    okMeans: "It comes as declared.",
    lostMeans: (percent: number) => `FLR is ${percent} % or more: fewer frames arrive than declared, though the uplink carries what is made. Look at the encoder: too slow, or set to another frame rate.`,
    uplinkMeans: (percent: number) => `BwDiff is over ${percent} % of BwIn: the encoder makes more than its uplink carries. Lower its bitrate or mend its network, else delay grows and frames are lost.`,
    stalledMeans: "Nothing arrives, or no picture of a stream that has one. It ends by itself when it stays so.",
    young: (seconds: number) => `In its first ${seconds} s a stream is not judged.`,
    terms: "FLR: share of declared frames that did not come. BwIn: what the encoder makes, by media time. BwReal: what arrives, by wall time. BwDiff: BwIn − BwReal; slightly negative is normal.",
  },
  {
    ok: "正常",
    lost: "丢帧",
    uplink: "上行不足",
    stalled: "停滞",
    title: "状态说明",
    intro: "每条流只显示一个状态，取最严重的一项。数据取最近 10 秒。",
    okMeans: "与声明一致。",
    lostMeans: (percent: number) => `FLR 达到 ${percent}% 或以上：到达的帧少于声明，但上行带宽足够。请检查编码器：性能不足，或帧率设置不一致。`,
    uplinkMeans: (percent: number) => `BwDiff 超过 BwIn 的 ${percent}%：编码器产生的数据多于上行所能承载。请降低码率或改善网络，否则延迟会增大并丢帧。`,
    stalledMeans: "没有数据到达，或有画面的流没有画面到达。持续如此则会自动断开。",
    young: (seconds: number) => `推流开始后 ${seconds} 秒内不作判断。`,
    terms: "FLR：声明的帧中未到达的比例。BwIn：编码器产生的码率（按媒体时间）。BwReal：实际到达的码率（按实际时间）。BwDiff：BwIn − BwReal，略为负值属正常。",
  },
);
