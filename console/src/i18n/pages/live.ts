import { dictionary } from "../index";

export const liveTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
