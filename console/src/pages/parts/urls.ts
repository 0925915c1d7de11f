// URLs as people paste them. Rule: pure; what goes onto a command line is quoted for a POSIX shell.

/** The service writes {host} where a name or address of it stands; the page was loaded from one. */
export function hostedUrl(url: string, host: string): string {
  return url.replaceAll("{host}", host);
}

/** One word of a shell's command line, whatever is in it. */
export function quoteShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

export function ffmpegCommand(url: string): string {
  return `ffmpeg -re -stream_loop -1 -i input.mp4 -c copy -f flv ${quoteShell(url)}`;
}

export function ffplayCommand(url: string): string {
  return `ffplay -fflags nobuffer ${quoteShell(url)}`;
}
