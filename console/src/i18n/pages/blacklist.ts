import { dictionary } from "../index";

export const blacklistTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
