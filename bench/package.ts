/** The package as it is published: what `npm run build` made. Its types are those of the sources, which are there before a build. */
const built = (await import(new URL("../dist/index.js", import.meta.url).href)) as typeof import("../src/index.js");

export const { createDatabase, sql } = built;
