import { run } from "../../src/cli/program.js";

/** The command line with a person at it who types `answer`; null is Ctrl-C, and without one nobody sits there. */
export async function dualdb(args: readonly string[], env: NodeJS.ProcessEnv, answer?: string | null) {
  const written = { out: "", err: "" };
  const stream = (name: "out" | "err") => ({
    write(text: string) {
      written[name] += text;
    },
  });
  const ask = async (question: string) => {
    written.err += question;
    return answer ?? null;
  };
  const interruption = () => new AbortController().signal;
  const terminal = { env, stdout: stream("out"), stderr: stream("err"), interruption };
  const status = await run(args, answer === undefined ? terminal : { ...terminal, ask });
  return { status, ...written };
}
