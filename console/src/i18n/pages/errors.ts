import { dictionary } from "../index";

export const errorsTexts = dictionary(
  {
    intro: "…",
  },
  {
    intro: "…",
  },
);
