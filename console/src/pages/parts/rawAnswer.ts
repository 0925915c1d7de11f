// An answer's body, read for people. Rule: pure; what is no JSON is shown as it came.

// Ten thousand rows are megabytes: laying them out as one text would hold the page.
export const SHOWN_CHARACTERS = 100_000;

export interface ReadAnswer {
  isJson: boolean;
  text: string;
  retCode: number | undefined;
  retMsg: string;
  requestId: string;
}

interface Body {
  Data?: { RetCode?: unknown; RetMsg?: unknown };
  Error?: { Code?: unknown };
  RequestId?: unknown;
}

export function readAnswer(body: string): ReadAnswer {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return { isJson: false, text: body, retCode: undefined, retMsg: "", requestId: "" };
  }
  const { Data, RequestId } = (typeof parsed === "object" && parsed !== null ? parsed : {}) as Body;
  return {
    isJson: true,
    text: JSON.stringify(parsed, null, 2),
    retCode: typeof Data?.RetCode === "number" ? Data.RetCode : undefined,
    retMsg: typeof Data?.RetMsg === "string" ? Data.RetMsg : "",
    requestId: typeof RequestId === "string" ? RequestId : "",
  };
}
