import { dictionary } from "../index";

export const historyTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
