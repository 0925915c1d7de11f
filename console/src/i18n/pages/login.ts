import { dictionary } from "../index";

export const loginTexts = dictionary(
  {
    title: "Log in",
    intro: "With an access key pair of your account.",
    accessKey: "Access key",
    secretKey: "Secret key",
    submit: "Log in",
    secretHint: "It is sent once, to open the session, and is kept nowhere.",
    lapsed: "The session ended: it was idle for too long, the service was started anew, or the key is no longer valid. Log in again.",
    failed: "No such key pair. Check both parts; the secret key is case-sensitive.",
    insecure: "Over plain HTTP the console takes a login from this computer only. Use HTTPS.",
    tooMany: (seconds: string) => `Too many attempts. Try again in ${seconds} s.`,
    unreachable: "The service does not answer. Try again in a moment.",
    other: (text: string) => `The login was refused: ${text}`,
    empty: "Both parts are needed.",
  },
  {
    title: "登录",
    intro: "使用账号的 Access Key 密钥对登录。",
    accessKey: "Access Key",
    secretKey: "Secret Key",
    submit: "登录",
    secretHint: "仅在建立会话时发送一次，不会保存在任何地方。",
    lapsed: "会话已结束：闲置过久、服务已重启，或密钥已失效。请重新登录。",
    failed: "密钥对不正确。请检查两项内容，Secret Key 区分大小写。",
    insecure: "使用明文 HTTP 时，控制台只接受来自本机的登录。请使用 HTTPS。",
    tooMany: (seconds: string) => `尝试次数过多，请在 ${seconds} 秒后重试。`,
    unreachable: "服务没有响应，请稍后再试。",
    other: (text: string) => `登录被拒绝：${text}`,
    empty: "两项都需要填写。",
  },
);
