import { dictionary } from "../index";

export const historyTexts = dictionary(
  {
    intro: "Pushes that were accepted and have ended. A live one is not history yet.",
    limits: "A window is at most 5 days long and lies within the last 28 days.",
    emptyTitle: "No push in this window",
    empty: "Nothing that began in it has ended. Widen the window, or see what is live.",
    toLive: "Live streams",
    tableLabel: "Ended pushes",
    total: (n: string, one: boolean) => (one ? "1 push in the window" : `${n} pushes in the window`),
  },
  {
    intro: "已被接受并已结束的推流。正在进行的推流不在其中。",
    limits: "时间范围最长 5 天，且须在最近 28 天之内。",
    emptyTitle: "该时段没有推流记录",
    empty: "该时段内开始的推流均未结束，或没有推流。可扩大时间范围，或查看在线流。",
    toLive: "在线流",
    tableLabel: "已结束的推流",
    total: (n: string) => `该时段共 ${n} 次推流`,
  },
);
