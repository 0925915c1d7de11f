import { dictionary } from "../index";

export const explorerTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
