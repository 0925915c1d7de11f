import { dictionary } from "../index";

export const durationsTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
