import { dictionary } from "../index";

export const urlsTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
