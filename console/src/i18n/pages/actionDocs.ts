// The service model's descriptions in Chinese, for the explorer; English is the model's own.
// Rule: a description is found by its English text, so that one that has changed is never shown with an old meaning.
import type { Language } from "../index";

const ZH: Readonly<Record<string, string>> = {
  "Reports how a stream, an app, a space or the account went: a value every 10 seconds of the last hour or every minute of the last day. With Stream its quality and viewers; without it totals, among them Errors, the pushes refused and the sessions broken in the interval.":
    "返回一个流、应用、空间或整个账号的走势：最近一小时每 10 秒一个值，或最近一天每分钟一个值。指定 Stream 时为该流的质量与观众数；不指定时为总量，其中 Errors 为该间隔内被拒绝的推流与中断的会话数。",
  "One space. Absent or empty: the whole account.": "一个空间。缺省或为空：整个账号。",
  "One app; needs UniqueName. Absent or empty: all apps.": "一个应用，须同时指定 UniqueName。缺省或为空：全部应用。",
  "One stream; needs UniqueName and App. Absent or empty: totals.": "一个流，须同时指定 UniqueName 和 App。缺省或为空：总量。",
  "Seconds between two instants: 10, kept for an hour, or 60, kept for a day.": "两个时刻的间隔秒数：10（保留一小时）或 60（保留一天）。",
  "A Unix time of at most 10 digits; milliseconds are refused as too large. Where the window begins.": "时间范围的起点。Unix 时间，最多 10 位；毫秒会因过大被拒绝。",
  "A Unix time of at most 10 digits; milliseconds are refused as too large. Where the window ends.": "时间范围的终点。Unix 时间，最多 10 位；毫秒会因过大被拒绝。",
  "Reports the live streams of the account, of a space or of an app with push quality and viewers by protocol, in one list. At most 10,000 streams, the newest push first.":
    "在一个列表中返回账号、空间或应用的在线流，含推流质量和各协议观众数。最多 10,000 个流，最新推流在前。",
  "One space. Absent or empty: all spaces of the account.": "一个空间。缺省或为空：账号的全部空间。",
  "Streams of this app. Absent or empty: of all apps.": "该应用的流。缺省或为空：全部应用。",
  "Streams of this name. Absent or empty: all.": "该流名的流。缺省或为空：全部。",
  "Reports the account's spaces with their apps and domains, and the ports of this service. No key of a domain is told.":
    "返回账号的空间及其应用和域名，以及本服务的端口。不返回任何域名密钥。",
  "Reports the processes of the service, and what each has of the account's streams and viewers.": "返回服务的各个进程，以及各自承载的本账号的流和观众。",
  "Reports who changed what in the account, page by page, newest first: bans, key pairs, the account itself. The newest 100,000 rows can be reached.":
    "分页返回账号内的变更记录（封禁、密钥对、账号本身），最新在前。可查询最新的 100,000 行。",
  "Number of the page, from 0; it skips Marker times Limit rows.": "页码，从 0 开始；跳过 Marker × Limit 行。",
  "Rows of a page. 0 or less is read as the default, more than 5000 as 5000.": "每页行数。小于等于 0 按默认值，大于 5000 按 5000。",
  "Reports the account's key pairs with their policies, without secrets.": "返回账号的密钥对及其策略，不含 Secret Key。",
  "Makes a key pair of the account. The secret is in the answer and is never told again. Only a key with full rights may call it: one with a policy could otherwise make itself one without.":
    "为账号创建密钥对。Secret Key 仅在本次响应中返回。只有拥有全部权限的密钥可以调用，否则受限的密钥可以为自己造出不受限的密钥。",
  "A policy: a JSON list of statements, each with Effect, Action and Resource. Empty: full rights in the account.":
    "策略：JSON 语句列表，每条含 Effect、Action、Resource。为空：拥有账号的全部权限。",
  "Makes a new key pair in the place of an old one, with its account and policy; the old one signs on for a while. Only a key with full rights may call it: one with a policy could otherwise make itself one without.":
    "以相同账号和策略生成新密钥对以替换旧的，旧密钥在一段时间内仍可签名。只有拥有全部权限的密钥可以调用，否则受限的密钥可以为自己造出不受限的密钥。",
  "An access key: 1 to 128 printable ASCII characters without blank and slash.": "Access Key：1 至 128 个可打印 ASCII 字符，不含空格和斜杠。",
  "For how long the old key pair signs on; at most 30 days.": "旧密钥对继续有效的时长，最长 30 天。",
  "Switches a key pair off, for good. One that is off already stays so. Only a key with full rights may call it: one with a policy could otherwise make itself one without.":
    "永久停用密钥对；已停用的保持停用。只有拥有全部权限的密钥可以调用，否则受限的密钥可以为自己造出不受限的密钥。",
  "Gives a key pair another policy, or full rights. Only a key with full rights may call it: one with a policy could otherwise make itself one without.":
    "为密钥对设置另一策略或全部权限。只有拥有全部权限的密钥可以调用，否则受限的密钥可以为自己造出不受限的密钥。",
  "A policy: a JSON list of statements, each with Effect, Action and Resource. It has to be there; empty it gives the key full rights in its account.":
    "策略：JSON 语句列表，每条含 Effect、Action、Resource。必须提供；为空时密钥拥有账号的全部权限。",
  "Makes the URLs to push and play a stream by, signed with the domains' first keys where they ask for a signature. Whoever has them may push and play until they expire.":
    "生成流的推流与播放地址，域名要求鉴权时用其第一个密钥签名。持有地址者在有效期内即可推流和播放。",
  "The space: a tenant's namespace of publish and play domains and apps, unique over the whole service.": "空间：一个租户的推流域名、播放域名与应用的命名空间，在整个服务中唯一。",
  "The application: the first part of a stream's path. Letters and digits of any script and `_ - . ~ @ :`. The names `.` and `..` are refused, because no URL can address them.":
    "应用：流路径的第一段。可用各种文字的字母和数字以及 `_ - . ~ @ :`。名称 `.` 和 `..` 会被拒绝，因为没有 URL 能够指向它们。",
  "The publish domain to push through; it is in the URL as given.": "用于推流的推流域名，按原样写入地址。",
  "The stream's name: the second part of its path. Letters and digits of any script and `_ - . ~ @ :`. The names `.` and `..` are refused, because no URL can address them.":
    "流名：流路径的第二段。可用各种文字的字母和数字以及 `_ - . ~ @ :`。名称 `.` 和 `..` 会被拒绝，因为没有 URL 能够指向它们。",
  "Until when the signatures in the URLs hold. Absent or 0: a day from now.": "地址中签名的有效截止时间。缺省或为 0：自现在起一天。",
  "Reports the live streams of an app: push quality at this moment, viewers, and viewers of each rendition. At most 10,000 streams.":
    "返回一个应用的在线流：当前推流质量、观众数及各转码流的观众数。最多 10,000 个流。",
  "One stream's name. Absent or empty: all streams of the app.": "一个流名。缺省或为空：该应用的全部流。",
  "Ids of play domains of the space, separated by commas, at most 100; only their viewers are counted. Absent: all play domains.":
    "空间的播放域名 ID，以逗号分隔，最多 100 个；只统计这些域名的观众。缺省：全部播放域名。",
  "The protocol whose viewers are counted. `http flv`, what a form decoder makes of an unescaped `http+flv`, is understood.":
    "统计哪种协议的观众。未转义的 `http+flv` 经表单解码得到的 `http flv` 也可识别。",
  "What is reported. Absent: streams that are both pushed and pulled. `push`: pushed streams, without viewers. `pull`: pulled streams, without push quality.":
    "返回的内容。缺省：既有推流又有拉流的流。`push`：有推流的流，不含观众。`pull`：有拉流的流，不含推流质量。",
  "Reports the streams being pushed to a publish domain, page by page. Bitrates are in bytes per second and many numbers are in strings.":
    "分页返回正在推到一个推流域名的流。码率单位为字节每秒，许多数值以字符串表示。",
  "The publish domain: a host name, `localhost`, or an IPv4 or IPv6 address (without brackets), without port or final dot. Read without regard to case.":
    "推流域名：主机名、`localhost`、IPv4 地址或 IPv6 地址（不带方括号），不含端口和末尾的点。不区分大小写。",
  "Order by the time the push started: 0 descending, 1 ascending.": "按推流开始时间排序：0 降序，1 升序。",
  "Reports accepted pushes that have ended and began in a window of at most 5 days within the last 28, page by page, grouped by stream. A live push is not history.":
    "分页返回已结束且被接受的推流，按流分组；其开始时间须在最近 28 天内、最长 5 天的范围中。正在进行的推流不在其中。",
  "Where the window of push starts begins. Absent or 0: 00:00 five days before the end's day. A Unix time of at most 10 digits; milliseconds are refused as too large.":
    "推流开始时间范围的起点。缺省或为 0：终点所在日五天前的 00:00。Unix 时间，最多 10 位；毫秒会因过大被拒绝。",
  "Where the window of push starts ends. Absent or 0: five days after the start, at most now. A Unix time of at most 10 digits; milliseconds are refused as too large.":
    "推流开始时间范围的终点。缺省或为 0：起点之后五天，最晚到现在。Unix 时间，最多 10 位；毫秒会因过大被拒绝。",
  "Reports refused pushes, and pushes ended by a code other than 200, that began in a window of at most 5 days within the last 28, page by page, grouped by stream.":
    "分页返回被拒绝的推流和以 200 以外代码结束的推流，按流分组；其开始时间须在最近 28 天内、最长 5 天的范围中。",
  "Reports how long streams were pushed between two days within the last 60: one row per push that overlaps the window, clipped to it, a live one up to now.":
    "返回最近 60 天内两日之间的推流时长：每次与该范围重叠的推流一行，截取到范围之内，正在进行的计到现在。",
  "First day of the window, taken back to its 00:00. 0 is missing. A Unix time of at most 10 digits; milliseconds are refused as too large.":
    "范围的第一天，取该日 00:00。0 视为缺失。Unix 时间，最多 10 位；毫秒会因过大被拒绝。",
  "Day after the last of the window, taken back to its 00:00. 0 is missing. A Unix time of at most 10 digits; milliseconds are refused as too large.":
    "范围最后一天的次日，取该日 00:00。0 视为缺失。Unix 时间，最多 10 位；毫秒会因过大被拒绝。",
  "Cuts a stream's push and its viewers, and refuses its push until a time; or only cuts it (ForbidTillUnixTime 1). A stream that is not live can be forbidden too. Forbidding again refreshes both times.":
    "切断流的推流与观众，并在指定时间之前拒绝其推流；或仅切断一次（ForbidTillUnixTime 为 1）。不在线的流也可封禁。再次封禁会刷新两个时间。",
  "Until when the stream is forbidden, at most 90 days ahead. Absent or 0: 90 days. -1: 90 days, shown as -1. 1: the push is cut at once and may begin again.":
    "封禁截止时间，最多 90 天后。缺省或为 0：90 天。-1：90 天，显示为 -1。1：立即切断推流，可重新推流。",
  "Allows a forbidden stream again at once.": "立即恢复被封禁的流。",
  "Reports the forbidden streams of an app under a publish domain.": "返回一个应用在一个推流域名下被封禁的流。",
  "Tells whether a stream is forbidden.": "查询一个流是否被封禁。",
  seconds: "秒",
  "Unix seconds": "Unix 秒",
  pages: "页",
  rows: "行",
  "0 or 1": "0 或 1",
};

/** A description in a language, or in English where there is none; `lang` tells which it is. */
export function describeIn(language: Language, text: string): { text: string; lang: "en" | "zh" } {
  const translated = language === "zh" ? ZH[text] : undefined;
  return translated === undefined ? { text, lang: "en" } : { text: translated, lang: "zh" };
}
