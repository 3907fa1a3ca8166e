import type { AddHelpTextContext } from "commander";

/** Text below a command's options, as wide as the terminal: its paragraphs stand between empty lines. */
export function helpText(text: string): (context: AddHelpTextContext) => string {
  const paragraphs = text.trim().replace(/(?<!\n)\n(?!\n)/g, " ");
  return ({ command }) => `\n${command.createHelp().boxWrap(paragraphs, command.configureHelp().helpWidth ?? 80)}`;
}
